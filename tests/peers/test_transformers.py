"""kbert's model folders in Hugging Face Transformers, and its folders in kbert."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kbert.bundle import Bundle
from kbert.config import ACTIVATIONS
from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel
from kbert.models.tensor_names import assign_tensors, encoder_slots, pretraining_slots
from kbert.predictor import load
from kbert.training.objectives import PretrainingObjective

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TENSORS = {"output_loading_info": True}


def opened(kind, folder):
    """A model in Transformers that took every tensor there is, and lacks none."""
    model, info = kind.from_pretrained(folder, **TENSORS)
    assert not any(info[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model.eval()


def padded_pairs():
    """Four padded pairs with four predictions each, of ids 5 to 22."""
    rng = np.random.default_rng(0)
    lengths = np.array([24, 17, 6, 11])
    mask = (np.arange(24) < lengths[:, None]).astype(np.int32)
    batch = {
        "input_word_ids": (rng.integers(5, 23, (4, 24)) * mask).astype(np.int32),
        "input_mask": mask,
        "input_type_ids": ((np.arange(24) >= 4) * mask).astype(np.int32),
        "masked_lm_positions": np.zeros((4, 6), np.int32),
        "masked_lm_ids": rng.integers(5, 23, (4, 6)).astype(np.int32),
        "masked_lm_weights": np.tile(np.float32([1, 1, 1, 1, 0, 0]), (4, 1)),
        "next_sentence_labels": np.array([0, 1, 1, 0], np.int32),
    }
    for row, length in enumerate(lengths):
        batch["masked_lm_positions"][row, :4] = np.sort(rng.permutation(length)[:4])
    return batch


def to_torch(batch):
    return {
        "input_ids": torch.tensor(batch["input_word_ids"]).long(),
        "attention_mask": torch.tensor(batch["input_mask"]).long(),
        "token_type_ids": torch.tensor(batch["input_type_ids"]).long(),
    }


def restored(folder):
    bundle = Bundle.load(folder)
    model = PretrainingModel(BertEncoder(bundle.config))
    assign_tensors(pretraining_slots(model), bundle.tensors)
    return model


@pytest.fixture(params=ACTIVATIONS)
def pretraining_folder(request, tmp_path, pretrained):
    """The same weights with each activation."""
    folder = shutil.copytree(pretrained, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": request.param}))
    return folder


def test_a_pretraining_model_gives_the_same_outputs_losses_and_gradients(pretraining_folder):
    model = restored(pretraining_folder)
    other = opened(transformers.BertForPreTraining, pretraining_folder)
    batch = padded_pairs()
    labels = np.full((4, 24), -100)
    for row, positions in enumerate(batch["masked_lm_positions"][:, :4]):
        labels[row, positions] = batch["masked_lm_ids"][row, :4]

    objective = PretrainingObjective()
    tensors = {name: tf.constant(values) for name, values in batch.items()}
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        outputs = model(tensors, training=False)
        numerators, denominators = objective.numerators(outputs, tensors), objective.denominators(tensors)
        loss = sum(numerators[name] / denominators[name] for name in objective.losses)
    gradients = tape.gradient(loss, variables)
    theirs = other(
        **to_torch(batch),
        labels=torch.tensor(labels),
        next_sentence_label=torch.tensor(batch["next_sentence_labels"]).long(),
        output_hidden_states=True,
    )
    theirs.loss.backward()

    inside = batch["input_mask"] == 1
    encoded = model.encoder({name: tensors[name] for name in list(batch)[:3]})
    hidden = theirs.hidden_states[-1].detach().numpy()
    np.testing.assert_allclose(encoded["sequence_output"].numpy()[inside], hidden[inside], rtol=0, atol=2e-5)
    logits = theirs.prediction_logits.detach().numpy()
    for row, positions in enumerate(batch["masked_lm_positions"]):
        np.testing.assert_allclose(outputs["mlm_logits"][row], logits[row, positions], rtol=0, atol=2e-5)
    np.testing.assert_allclose(
        outputs["nsp_logits"], theirs.seq_relationship_logits.detach().numpy(), rtol=0, atol=2e-5
    )
    assert float(loss) == pytest.approx(theirs.loss.item(), rel=1e-5)

    parameters = dict(other.named_parameters())
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    for name, slot in pretraining_slots(model).items():
        ours = tf.convert_to_tensor(gradients[places[id(slot.variable)]]).numpy()
        if slot.part:
            ours = np.split(ours, slot.part[1], axis=-1)[slot.part[0]]
        ours = ours.T if slot.transposed else ours
        wanted = parameters[name].grad.numpy()
        if name.endswith("key.bias"):  # 0 but for rounding: it moves all scores of a query alike
            assert max(np.abs(ours).max(), np.abs(wanted).max()) < 1e-6
            continue
        assert np.abs(ours - wanted).max() <= 1e-4 * np.abs(wanted).max(), name


def test_the_bare_encoder_opens_too(pretrained):
    other, info = transformers.BertModel.from_pretrained(pretrained, **TENSORS)
    assert not info["missing_keys"]
    batch = padded_pairs()
    with torch.no_grad():
        theirs = other.eval()(**to_torch(batch))
    ours = restored(pretrained).encoder({name: batch[name] for name in list(batch)[:3]})
    np.testing.assert_allclose(ours["pooled_output"], theirs.pooler_output.numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("paired", [False, True])
def test_a_fine_tuned_model_gives_the_same_probabilities_from_text(classifier, pair_classifier, paired):
    folder = pair_classifier if paired else classifier
    other = opened(transformers.BertForSequenceClassification, folder)
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


@pytest.fixture
def foreign_config(small_config):
    return transformers.BertConfig(
        **{name: value for name, value in small_config.to_dict().items() if name != "model_type"}
    )


def scrambled(model):
    """Random weights, biases and LayerNorm too."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("kind", ["BertModel", "BertForPreTraining", "BertForSequenceClassification"])
def test_a_folder_of_transformers_is_a_model_of_kbert(tmp_path, vocabulary, foreign_config, kind):
    other = scrambled(getattr(transformers, kind)(foreign_config))
    other.save_pretrained(tmp_path)
    vocabulary.save(tmp_path / "vocab.txt")
    bundle = Bundle.load(tmp_path)
    assert bundle.architecture == kind
    encoder = BertEncoder(bundle.config)
    assign_tensors(encoder_slots(encoder), bundle.tensors)
    batch = padded_pairs()
    with torch.no_grad():
        theirs = getattr(other, "bert", other)(**to_torch(batch))
    ours = encoder({name: batch[name] for name in list(batch)[:3]})
    inside = batch["input_mask"] == 1
    np.testing.assert_allclose(
        ours["sequence_output"].numpy()[inside], theirs.last_hidden_state.numpy()[inside], rtol=0, atol=2e-5
    )
    np.testing.assert_allclose(ours["pooled_output"], theirs.pooler_output.numpy(), rtol=0, atol=2e-5)


def test_a_pretraining_model_of_transformers_is_fine_tuned(tmp_path, vocabulary, foreign_config):
    from kbert.training.finetune import finetune

    scrambled(transformers.BertForPreTraining(foreign_config)).save_pretrained(tmp_path / "theirs")
    vocabulary.save(tmp_path / "theirs" / "vocab.txt")
    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "the cat,yes\na dog,no\n" * 8)
    finetune(
        "classification",
        model=tmp_path / "theirs",
        train=table,
        validation=table,
        output=tmp_path / "ours",
        batch_size=8,
        epochs=1,
        sequence_length=16,
        show_progress=False,
    )
    assert {answer["label"] for answer in load(tmp_path / "ours").predict(["the cat", "a dog"])} <= {"yes", "no"}
