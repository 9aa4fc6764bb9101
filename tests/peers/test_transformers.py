"""Model folders of kbert in Transformers, and of Transformers in kbert, give the same numbers and the same bytes."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from kbert.config import ACTIVATIONS, preset_config
from kbert.model_folder.architectures import ARCHITECTURES
from kbert.model_folder.bundle import Bundle
from kbert.models.tensor_names import assign_tensors, pretraining_bindings, read_tensors
from kbert.prediction.loading import load
from kbert.pretrained.loading import build_model, load_model
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from kbert.training.finetune import finetune
from kbert.training.loop.objectives import PretrainingObjective

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PRESETS = ("tiny", "mini", "small", "base")
VOCAB_SIZE = 30_522
CLASSES = 3


@pytest.fixture(scope="module")
def large_vocabulary():
    return Vocabulary([*SPECIAL_TOKENS, *(f"token{index}" for index in range(VOCAB_SIZE - len(SPECIAL_TOKENS)))])


def random_weights(model, seed=0):
    """Random values everywhere: fresh biases are 0 and LayerNorms 1, which would hide mistakes."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture(scope="module")
def foreign_folder(tmp_path_factory, large_vocabulary):
    """Gives a model of Transformers with random weights, and the folder that it saved."""

    def make(kind, preset="tiny", *, vocabulary=None, shard="5GB", **changes):
        vocabulary = vocabulary or large_vocabulary
        config = dataclasses.asdict(preset_config(preset, len(vocabulary)).replace(**changes))
        classes = 2 if kind == "BertForQuestionAnswering" else CLASSES  # a start and an end
        model = getattr(transformers, kind)(transformers.BertConfig(**config, num_labels=classes))
        folder = tmp_path_factory.mktemp("foreign")
        random_weights(model).save_pretrained(folder, max_shard_size=shard)
        vocabulary.save(folder / "vocab.txt")
        return model, folder

    return make


def opened(kind, folder):
    """A model in Transformers that took every tensor there is, and lacks none."""
    model, info = getattr(transformers, kind).from_pretrained(folder, output_loading_info=True)
    assert not any(info[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model.eval()


def make_batch(lengths, width, vocab_size=VOCAB_SIZE, predictions=6):
    """Pairs of random ids, padded, each with some predictions."""
    rng = np.random.default_rng(len(lengths) * 1_000 + width)
    lengths = np.array(lengths)
    mask = (np.arange(width) < lengths[:, None]).astype(np.int32)
    count, predictions = len(lengths), min(predictions, int(lengths.max()))
    positions, weights = np.zeros((2, count, predictions), np.int32)
    for row, length in enumerate(lengths):
        chosen = np.sort(rng.permutation(length)[:predictions])
        positions[row, : len(chosen)], weights[row, : len(chosen)] = chosen, 1
    return {
        "input_word_ids": (rng.integers(5, vocab_size, (count, width)) * mask).astype(np.int32),
        "input_mask": mask,
        "input_type_ids": ((np.arange(width) >= lengths[:, None] // 2) * mask).astype(np.int32),
        "masked_lm_positions": positions,
        "masked_lm_ids": rng.integers(5, vocab_size, (count, predictions)).astype(np.int32),
        "masked_lm_weights": weights.astype(np.float32),
        "next_sentence_labels": rng.integers(0, 2, count).astype(np.int32),
    }


# The loss of the original, and so of kbert, adds 1e-5 to the number of predictions: with few it is another than
# the mean that Transformers computes.
BATCHES = {
    "padding and pairs": ([24, 17, 6, 11], 24),
    "length 1": ([1] * 24, 1),
    "length 512": ([512, 300, 511, 1], 512),
}


def to_torch(batch):
    return {
        "input_ids": torch.tensor(batch["input_word_ids"]).long(),
        "attention_mask": torch.tensor(batch["input_mask"]).long(),
        "token_type_ids": torch.tensor(batch["input_type_ids"]).long(),
    }


def foreign_labels(batch):
    """The id to predict at each position, -100 where there is none."""
    labels = np.full(batch["input_mask"].shape, -100)
    for row, weights in enumerate(batch["masked_lm_weights"] == 1):
        labels[row, batch["masked_lm_positions"][row, weights]] = batch["masked_lm_ids"][row, weights]
    return torch.tensor(labels)


def encoder_features(batch):
    return {name: batch[name] for name in ("input_word_ids", "input_mask", "input_type_ids")}


# === Numbers ===


@pytest.mark.parametrize("shape", BATCHES)
@pytest.mark.parametrize("preset", PRESETS)
def test_hidden_states_logits_and_loss(foreign_folder, within, preset, shape):
    other, folder = foreign_folder("BertForPreTraining", preset)
    model = load_model(folder)
    batch = make_batch(*BATCHES[shape])
    labels = foreign_labels(batch)
    with torch.no_grad():
        theirs = other(
            **to_torch(batch),
            labels=labels,
            next_sentence_label=torch.tensor(batch["next_sentence_labels"]).long(),
            output_hidden_states=True,
        )
        pooled = other.bert(**to_torch(batch)).pooler_output

    encoder = model.encoder
    states = keras.Model(encoder.inputs, [layer.output for layer in (encoder.embeddings, *encoder.blocks)])
    inside = batch["input_mask"] == 1
    for ours, hidden in zip(states(encoder_features(batch)), theirs.hidden_states, strict=True):
        within(f"{preset}: hidden states", ours.numpy()[inside], hidden.numpy()[inside], bound=2e-5)
    within(f"{preset}: pooled", encoder(encoder_features(batch))["pooled_output"], pooled, bound=2e-5)

    tensors = {name: tf.constant(values) for name, values in batch.items()}
    outputs = model(tensors)
    logits = np.take_along_axis(theirs.prediction_logits.numpy(), batch["masked_lm_positions"][..., None], 1)
    within(f"{preset}: MLM logits", outputs["mlm_logits"], logits, bound=2e-5)
    within(f"{preset}: NSP logits", outputs["nsp_logits"], theirs.seq_relationship_logits, bound=2e-5)
    within(f"{preset}: MLM+NSP loss", total_loss(outputs, tensors), theirs.loss, bound=1e-5)


def total_loss(outputs, batch):
    objective = PretrainingObjective()
    loss_sums, loss_weights = objective.loss_sums(outputs, batch), objective.loss_weights(batch)
    return sum(loss_sums[name] / loss_weights[name] for name in objective.losses)


@pytest.mark.parametrize("shape", ["padding and pairs", "length 512"])
@pytest.mark.parametrize("preset", PRESETS)
def test_gradients(foreign_folder, within, preset, shape):
    check_gradients(*foreign_folder("BertForPreTraining", preset), make_batch(*BATCHES[shape]), within, preset)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(foreign_folder, within, activation):
    model, folder = foreign_folder("BertForPreTraining", hidden_act=activation)
    check_gradients(model, folder, make_batch(*BATCHES["padding and pairs"]), within, f"tiny, {activation}")


@pytest.mark.parametrize("epsilon", [1e-12, 1e-3])
def test_every_epsilon(foreign_folder, within, epsilon):
    model, folder = foreign_folder("BertForPreTraining", layer_norm_eps=epsilon, max_position_embeddings=40)
    check_gradients(model, folder, make_batch(*BATCHES["padding and pairs"]), within, f"tiny, epsilon {epsilon}")


def check_gradients(other, folder, batch, within, name):
    model = load_model(folder)
    tensors = {name: tf.constant(values) for name, values in batch.items()}
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = total_loss(model(tensors, training=False), tensors)
    gradients = tape.gradient(loss, variables)
    labels = foreign_labels(batch)
    other.zero_grad()
    theirs = other(
        **to_torch(batch),
        labels=labels,
        next_sentence_label=torch.tensor(batch["next_sentence_labels"]).long(),
    )
    theirs.loss.backward()
    within(f"{name}: MLM+NSP loss", loss, theirs.loss.item(), bound=1e-5)
    parameters = dict(other.named_parameters())
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    for tensor, binding in pretraining_bindings(model).items():
        ours = tf.convert_to_tensor(gradients[places[id(binding.variable)]]).numpy()
        if binding.columns:
            ours = np.split(ours, binding.columns[1], axis=-1)[binding.columns[0]]
        ours = ours.T if binding.transposed else ours
        wanted = parameters[tensor].grad.numpy()
        if tensor.endswith("key.bias"):  # 0 but for rounding: it moves all scores of a query alike
            assert max(np.abs(ours).max(), np.abs(wanted).max()) < 1e-6
            continue
        within(f"{name}: gradients, relative", ours, wanted, bound=1e-4, relative=True)


def foreign_logits(kind, other, batch):
    with torch.no_grad():
        inputs = to_torch(batch)
        if kind == "BertForMultipleChoice":
            # Two examples of choices: the batch, and the batch in another order.
            return other(**{name: torch.stack([value, value.flip(0)]) for name, value in inputs.items()}).logits
        outputs = other(**inputs)
    if kind == "BertForQuestionAnswering":
        return np.stack([outputs.start_logits, outputs.end_logits], -1)
    return outputs.logits


def our_logits(kind, model, batch):
    inputs = encoder_features(batch)
    if kind == "BertForMultipleChoice":
        return model({name: np.stack([value, value[::-1]]) for name, value in inputs.items()})["logits"]
    if kind == "BertForMaskedLM":
        count, width = batch["input_mask"].shape
        every = np.tile(np.arange(width, dtype=np.int32), (count, 1))
        return model(inputs | {"masked_lm_positions": every})["mlm_logits"]
    outputs = model(inputs)
    if kind == "BertForQuestionAnswering":
        return np.stack([outputs["start_logits"], outputs["end_logits"]], -1)
    return outputs["logits"]


KNOWN = [name for name in ARCHITECTURES if hasattr(transformers, name)]
"""The architectures that Transformers has; the others are kbert's own."""
HEADS = [name for name in KNOWN if name not in ("BertModel", "BertForPreTraining")]


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("preset", PRESETS)
def test_logits_of_every_head(foreign_folder, within, preset, kind):
    other, folder = foreign_folder(kind, preset)
    model = load_model(folder)
    for lengths, width in (BATCHES["padding and pairs"], BATCHES["length 1"]):
        batch = make_batch(lengths, width)
        ours, theirs = np.asarray(our_logits(kind, model, batch)), np.asarray(foreign_logits(kind, other, batch))
        if kind in ("BertForMaskedLM", "BertForTokenClassification", "BertForQuestionAnswering"):
            ours, theirs = (logits[batch["input_mask"] == 1] for logits in (ours, theirs))
        within(f"{preset}: {kind} logits", ours, theirs, bound=2e-5)


# === Files ===


def stored(folder):
    """Every tensor that a folder holds, by name, as dtype, shape and bytes."""
    return {
        name: (tensor.dtype, tensor.shape, tensor.tobytes())
        for path in sorted(folder.glob("*.safetensors"))
        for name, tensor in safetensors.numpy.load_file(path).items()
    }


@pytest.mark.parametrize("shard", ["5GB", "1MB"])
@pytest.mark.parametrize("kind", KNOWN)
def test_round_trip_through_files_and_through_the_model(tmp_path, foreign_folder, kind, shard):
    other, folder = foreign_folder(kind, shard=shard)
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (shard == "1MB")
    bundle = Bundle.load(folder)
    bundle.save(tmp_path / "files", "card")
    _, bindings = build_model(bundle)
    assign_tensors(bindings, bundle.tensors)
    bundle.tensors = read_tensors(bindings)
    bundle.save(tmp_path / "model", "card")
    expected = stored(folder)
    assert stored(tmp_path / "files") == expected
    assert stored(tmp_path / "model") == expected
    again = opened(kind, tmp_path / "model")
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert again.config.num_labels == other.config.num_labels


def test_half_precision_stays_what_it_is(tmp_path, foreign_folder):
    other, folder = foreign_folder("BertForSequenceClassification")
    other.to(torch.bfloat16).save_pretrained(folder)
    Bundle.load(folder).save(tmp_path / "again", "card")
    assert stored(tmp_path / "again") == stored(folder)


def test_settings_of_the_configuration_come_back(tmp_path, large_vocabulary):
    config = transformers.BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_act="gelu_new",
        layer_norm_eps=1e-6,
        max_position_embeddings=70,
        type_vocab_size=3,
        classifier_dropout=0.3,
        problem_type="multi_label_classification",
        id2label={0: "one", 1: "zwei", 2: "三"},
        label2id={"one": 0, "zwei": 1, "三": 2},
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "theirs")
    large_vocabulary.save(tmp_path / "theirs" / "vocab.txt")
    bundle = Bundle.load(tmp_path / "theirs")
    assert bundle.labels == ["one", "zwei", "三"]
    bundle.save(tmp_path / "ours", "card")
    again = opened("BertForSequenceClassification", tmp_path / "ours").config
    for name in (
        "hidden_act layer_norm_eps max_position_embeddings type_vocab_size classifier_dropout problem_type "
        "id2label label2id architectures"
    ).split():
        assert getattr(again, name) == getattr(config, name), name


@pytest.mark.parametrize("kind", ["BertModel", "BertForPreTraining", "BertForMaskedLM"])
def test_a_pretrained_folder_of_kbert_opens(pretrained, kind):
    """As their users open it: with the head they want, in the folder as it is."""
    model, info = getattr(transformers, kind).from_pretrained(pretrained, output_loading_info=True)
    assert not info["missing_keys"]
    batch = make_batch([12, 7], 12, vocab_size=23)
    with torch.no_grad():
        theirs = getattr(model.eval(), "bert", model)(**to_torch(batch)).last_hidden_state.numpy()
    ours = load_model(pretrained).encoder(encoder_features(batch))["sequence_output"].numpy()
    inside = batch["input_mask"] == 1
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=0, atol=2e-5)


@pytest.mark.parametrize("paired", [False, True])
def test_a_fine_tuned_model_gives_the_same_probabilities_from_text(classifier, pair_classifier, paired):
    folder = pair_classifier if paired else classifier
    other = opened("BertForSequenceClassification", folder)
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    texts = ["The cat sat on the mat.", "", "a dog ran!", "Unaffable cats matted"]
    pairs = texts[::-1] if paired else None
    encoded = tokenizer(texts, pairs, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = other(**encoded).logits
    model = load(folder)
    np.testing.assert_allclose(
        model.answers(texts, pairs)["probabilities"], torch.softmax(logits, -1).numpy(), rtol=0, atol=2e-5
    )
    labels = [other.config.id2label[index] for index in logits.argmax(-1).tolist()]
    assert [answer["label"] for answer in model.predict(texts, pairs)] == labels


def test_a_pretraining_model_of_transformers_is_fine_tuned(tmp_path, foreign_folder, vocabulary):
    _, folder = foreign_folder("BertForPreTraining", vocabulary=vocabulary)
    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "the cat,yes\na dog,no\n" * 8)
    finetune(
        "classification",
        model=folder,
        train=table,
        validation=table,
        output=tmp_path / "ours",
        batch_size=8,
        epochs=1,
        sequence_length=16,
        show_progress=False,
    )
    assert {answer["label"] for answer in load(tmp_path / "ours").predict(["the cat", "a dog"])} <= {"yes", "no"}


# === A classifier that transformers trained, on real text ===


@pytest.fixture(scope="module")
def sst2_classifier(tmp_path_factory, data):
    """A tiny BERT that transformers trained on 4,000 sentences of SST-2, as its users save one."""
    folder = tmp_path_factory.mktemp("sst2")
    shutil.copy(data / "vocab" / "bert-base-uncased.txt", folder / "vocab.txt")
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    rows = read_sst2(data / "sst2" / "train.tsv")[:4_000]
    torch.manual_seed(0)
    config = transformers.BertConfig(
        **dataclasses.asdict(preset_config("tiny")), id2label={0: "negative", 1: "positive"}
    )
    model = transformers.BertForSequenceClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    for start in range(0, len(rows), 32):
        texts, labels = zip(*rows[start : start + 32], strict=True)
        encoded = tokenizer(list(texts), padding=True, return_tensors="pt")
        model(**encoded, labels=torch.tensor(labels)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer, folder


def read_sst2(path):
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [(text, int(label)) for text, label in (line.rsplit("\t", 1) for line in lines)]


def test_the_same_labels_on_872_sentences(sst2_classifier, data, within):
    other, tokenizer, folder = sst2_classifier
    rows = read_sst2(data / "sst2" / "dev.tsv")
    assert len(rows) == 872
    texts = [text for text, _ in rows]
    with torch.no_grad():
        theirs = torch.softmax(other(**tokenizer(texts, padding=True, return_tensors="pt")).logits, -1).numpy()
    model = load(folder)
    within("SST-2: probabilities of 872 sentences", model.answers(texts)["probabilities"], theirs, bound=2e-5)
    labels = [answer["label"] for answer in model.predict(texts)]
    assert labels == [other.config.id2label[index] for index in theirs.argmax(-1).tolist()]
    assert set(labels) == {"negative", "positive"}
