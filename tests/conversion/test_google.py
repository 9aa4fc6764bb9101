"""Google's checkpoints, compared with a BERT in NumPy that reads only their tensor names."""

import json
import math
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kbert.conversion.convert import convert
from kbert.errors import BundleError, ConfigError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.writing import save_tokenizer
from kbert.text.vocabulary import Vocabulary

ERF = np.vectorize(math.erf, otypes=[np.float64])


@pytest.fixture
def google(tmp_path, pretrained):
    """The pretraining model as Google's folder."""
    convert(pretrained, tmp_path / "google", to="google")
    return tmp_path / "google"


def tensors(folder):
    reader = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def write(folder, arrays, prefix="bert_model.ckpt"):
    for old in folder.glob("bert_model.ckpt*"):
        old.unlink()
    names = list(arrays)
    tf.raw_ops.SaveV2(
        prefix=str(folder / prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(arrays[name]) for name in names],
    )


def google_bert(arrays, config, ids, mask, types, gelu):
    """The forward pass of the original paper, over the names of the original release; float64."""

    def dense(values, name):
        return values @ arrays[f"{name}/kernel"].astype(np.float64) + arrays[f"{name}/bias"]

    def norm(values, name):
        values = values - values.mean(-1, keepdims=True)
        values = values / np.sqrt((values**2).mean(-1, keepdims=True) + 1e-12)
        return values * arrays[f"{name}/gamma"] + arrays[f"{name}/beta"]

    heads = config["num_attention_heads"]
    batch, length = ids.shape
    hidden = arrays["bert/embeddings/word_embeddings"][ids].astype(np.float64)
    hidden = hidden + arrays["bert/embeddings/position_embeddings"][:length]
    hidden = norm(hidden + arrays["bert/embeddings/token_type_embeddings"][types], "bert/embeddings/LayerNorm")
    for index in range(config["num_hidden_layers"]):
        layer = f"bert/encoder/layer_{index}"

        def split(values):
            return values.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)

        query, key, value = (
            split(dense(hidden, f"{layer}/attention/self/{name}")) for name in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1]) + (mask[:, None, None] - 1) * 1e4
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        context = (weights / weights.sum(-1, keepdims=True) @ value).transpose(0, 2, 1, 3).reshape(batch, length, -1)
        hidden = norm(hidden + dense(context, f"{layer}/attention/output/dense"), f"{layer}/attention/output/LayerNorm")
        inner = gelu(dense(hidden, f"{layer}/intermediate/dense"))
        hidden = norm(hidden + dense(inner, f"{layer}/output/dense"), f"{layer}/output/LayerNorm")
    pooled = np.tanh(dense(hidden[:, 0], "bert/pooler/dense"))
    transformed = norm(gelu(dense(hidden, "cls/predictions/transform/dense")), "cls/predictions/transform/LayerNorm")
    mlm = transformed @ arrays["bert/embeddings/word_embeddings"].T + arrays["cls/predictions/output_bias"]
    nsp = pooled @ arrays["cls/seq_relationship/output_weights"].T + arrays["cls/seq_relationship/output_bias"]
    return hidden, pooled, mlm, nsp


def erf_gelu(values):
    return values * 0.5 * (1 + ERF(values / math.sqrt(2)))


def tanh_gelu(values):
    return values * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (values + 0.044715 * values**3)))


@pytest.mark.parametrize(("form", "gelu"), [("erf", erf_gelu), ("tanh", tanh_gelu)])
def test_a_bert_of_these_names_gives_the_same_outputs(tmp_path, pretrained, form, gelu):
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel
    from kbert.models.tensor_names import assign_tensors, pretraining_bindings

    convert(pretrained, tmp_path / "google", to="google", gelu=form)
    (tmp_path / "google" / "kbert.json").unlink()
    convert(tmp_path / "google", tmp_path / "back", gelu=form)
    bundle = Bundle.load(tmp_path / "back")
    model = PretrainingModel(BertEncoder(bundle.config))
    assign_tensors(pretraining_bindings(model), bundle.tensors)

    rng = np.random.default_rng(1)
    mask = (np.arange(12) < np.array([[12], [5], [1]])).astype(np.int32)
    ids = rng.integers(0, 23, (3, 12)).astype(np.int32) * mask
    types = (np.arange(12) >= 3).astype(np.int32) * mask
    positions = np.tile(np.arange(12, dtype=np.int32), (3, 1))
    batch = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
    encoded = model.encoder(batch)
    outputs = model({**batch, "masked_lm_positions": positions})

    config = json.loads((tmp_path / "google" / "bert_config.json").read_text())
    assert config["hidden_act"] == "gelu"
    hidden, pooled, mlm, nsp = google_bert(tensors(tmp_path / "google"), config, ids, mask, types, gelu)
    inside = mask == 1
    np.testing.assert_allclose(encoded["sequence_output"].numpy()[inside], hidden[inside], rtol=0, atol=2e-5)
    np.testing.assert_allclose(encoded["pooled_output"], pooled, rtol=0, atol=2e-5)
    np.testing.assert_allclose(outputs["mlm_logits"].numpy()[inside], mlm[inside], rtol=0, atol=2e-5)
    np.testing.assert_allclose(outputs["nsp_logits"], nsp, rtol=0, atol=2e-5)


@pytest.mark.parametrize("model", ["pretrained", "classifier", "pair_classifier"])
@pytest.mark.long
def test_round_trip(tmp_path, request, model):
    folder = request.getfixturevalue(model)
    convert(folder, tmp_path / "google", to="google")
    result = convert(tmp_path / "google", tmp_path / "back")
    assert (result.source_format, result.destination_format, result.largest_difference) == ("google", "bundle", 0.0)
    for name in ("model.safetensors", "vocab.txt", "kbert.json", "tokenizer_config.json"):
        assert (tmp_path / "back" / name).read_bytes() == (folder / name).read_bytes()
    before, after = Bundle.load(folder), Bundle.load(tmp_path / "back")
    assert (after.config, after.architecture, after.foreign_config) == (
        before.config,
        before.architecture,
        before.foreign_config,
    )


def test_the_same_model_gives_the_same_bytes(tmp_path, pretrained, google):
    convert(pretrained, tmp_path / "again", to="google")
    for path in google.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_what_training_adds_is_left_out(tmp_path, google):
    arrays = tensors(google)
    slots = {f"{name}/{slot}": array for name, array in arrays.items() for slot in ("adam_m", "adam_v")}
    write(google, {**arrays, **slots, "global_step": np.int64(7)}, "model.ckpt-7")
    (google / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-7"\n')
    assert convert(google, tmp_path / "out").tensors == len(arrays)
    assert convert(google / "model.ckpt-7", tmp_path / "by_prefix").tensors == len(arrays)
    assert convert(google / "model.ckpt-7.index", tmp_path / "by_file").tensors == len(arrays)


def test_heads_of_fine_tuning(tmp_path, google):
    (google / "kbert.json").unlink()
    arrays = {name: array for name, array in tensors(google).items() if name.startswith("bert/")}
    weights, bias = np.arange(96, dtype=np.float32).reshape(3, 32), np.float32([1, 2, 3])
    write(google, {**arrays, "output_weights": weights, "output_bias": bias})
    convert(google, tmp_path / "classifier")
    bundle = Bundle.load(tmp_path / "classifier")
    assert bundle.architecture == "BertForSequenceClassification"
    np.testing.assert_array_equal(bundle.tensors["classifier.weight"], weights)
    assert bundle.foreign_config["id2label"] == {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    write(google, {**arrays, "cls/squad/output_weights": weights[:2], "cls/squad/output_bias": bias[:2]})
    convert(google, tmp_path / "squad")
    bundle = Bundle.load(tmp_path / "squad")
    assert bundle.architecture == "BertForQuestionAnswering"
    np.testing.assert_array_equal(bundle.tensors["qa_outputs.weight"], weights[:2])


def test_config_and_vocabulary_may_be_elsewhere(tmp_path, google, vocab_file):
    (google / "vocab.txt").unlink()
    (google / "kbert.json").unlink()
    config = shutil.move(google / "bert_config.json", tmp_path / "config.json")
    with pytest.raises(UsageError, match=r"bert_config\.json is missing; name it with --config$"):
        convert(google, tmp_path / "out")
    with pytest.raises(UsageError, match=r"vocab\.txt is missing; name it with --vocab$"):
        convert(google, tmp_path / "out", config=config)
    assert convert(google, tmp_path / "out", config=config, vocab=vocab_file).tensors == 46


@pytest.mark.parametrize(("token", "lowercase"), [("cat", True), ("Cat", False), ("<S>", True), ("[Unused]", True)])
@pytest.mark.long
def test_capitals_in_the_vocabulary_tell_case(tmp_path, google, token, lowercase):
    (google / "kbert.json").unlink()
    path = google / "vocab.txt"
    path.write_text(path.read_text().replace("cat\n", f"{token}\n"))
    result = convert(google, tmp_path / "out")
    assert Bundle.load(tmp_path / "out").tokenizer.lowercase is lowercase
    assert any(note.startswith(f"taken as {'uncased' if lowercase else 'cased'}: ") for note in result.notes)
    convert(google, tmp_path / "other", cased=lowercase)
    assert Bundle.load(tmp_path / "other").tokenizer.lowercase is not lowercase


def test_gelu_is_erf_unless_asked_for(tmp_path, google):
    (google / "kbert.json").unlink()
    assert any(
        '"gelu" of bert_config.json is taken as its erf form' in n for n in convert(google, tmp_path / "a").notes
    )
    assert Bundle.load(tmp_path / "a").config.hidden_act == "gelu"
    convert(google, tmp_path / "b", gelu="tanh")
    assert Bundle.load(tmp_path / "b").config.hidden_act == "gelu_new"


# === What is wrong with a folder is said in one line ===


def refused(tmp_path, folder, error, message):
    with pytest.raises(error, match=message) as problem:
        convert(folder, tmp_path / "out")
    assert "\n" not in str(problem.value)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("size", [0, 10, -100])
def test_a_truncated_checkpoint(tmp_path, google, part, size):
    path = google / f"bert_model.ckpt.{part}"
    path.write_bytes(path.read_bytes()[:size])
    refused(tmp_path, google, BundleError, r"bert_model\.ckpt: the checkpoint is damaged or incomplete")


def test_a_missing_data_file(tmp_path, google):
    (google / "bert_model.ckpt.data-00000-of-00001").unlink()
    refused(tmp_path, google, BundleError, r"damaged or incomplete")


def test_a_flipped_byte(tmp_path, google):
    path = google / "bert_model.ckpt.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    refused(tmp_path, google, BundleError, r"damaged or incomplete .*[Cc]hecksum")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bert/pooler/dense/kernel": None}, r"has no tensor bert/pooler/dense/kernel of shape \[32, 32\]$"),
        ({"cls/predictions/output_bias": None}, r"has no tensor cls/predictions/output_bias of shape \[23\]$"),
        (
            {"bert/encoder/layer_1/output/dense/kernel": np.zeros((32, 64), np.float32)},
            r"the tensor bert/encoder/layer_1/output/dense/kernel must have the shape \[64, 32\].*\[32, 64\]$",
        ),
        ({"bert/extra": np.zeros(1, np.float32)}, r"not part of a BERT in Google's code: bert/extra; --encoder-only"),
        ({"bert/pooler/dense/bias": np.zeros(32, np.int32)}, r"must hold floats\. Received: int32$"),
        (
            {"output_weights": np.zeros((2, 32), np.float32), "output_bias": np.zeros(2, np.float32)},
            r"has heads of several models \(classifier, cls\.predictions, cls\.seq_relationship\)",
        ),
    ],
)
def test_wrong_tensors(tmp_path, google, changes, message):
    arrays = {name: array for name, array in {**tensors(google), **changes}.items() if array is not None}
    write(google, arrays)
    refused(tmp_path, google, BundleError, message)


def test_the_encoder_alone(tmp_path, google):
    write(google, {**tensors(google), "bert/extra": np.zeros(1, np.float32)})
    assert convert(google, tmp_path / "out", encoder_only=True).tensors == 39
    assert Bundle.load(tmp_path / "out").architecture == "BertModel"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"hiden_size": 3}, ConfigError, r"bert_config\.json: unknown config key 'hiden_size'"),
        ({"hidden_act": "swish"}, ConfigError, r"bert_config\.json: hidden_act must be one of"),
        ({"vocab_size": 22}, BundleError, r"vocab\.txt: expected at most the 22 tokens that the model has"),
        ({"vocab_size": 24}, BundleError, r"word_embeddings must have the shape \[24, 32\]"),
        ({"hidden_size": 10**12}, BundleError, r"must have the shape \[23, 1000000000000\]"),
        ({"num_hidden_layers": 10**12}, BundleError, r"too few for the 1000000000000 layers in the configuration$"),
        ({"num_hidden_layers": 3}, BundleError, r"has no tensor bert/encoder/layer_2/attention/self/query/kernel"),
    ],
)
def test_wrong_configurations(tmp_path, google, changes, error, message):
    path = google / "bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    refused(tmp_path, google, error, message)


def test_another_epsilon_is_refused(tmp_path, pretrained):
    folder = shutil.copytree(pretrained, tmp_path / "model")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layer_norm_eps": 1e-5}))
    with pytest.raises(ConfigError, match=r"only the LayerNorm epsilon 1e-12\. Received: layer_norm_eps=1e-05"):
        convert(folder, tmp_path / "out", to="google")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_vocab_may_be_a_tokenizer_with_its_settings(google, pretrained, tmp_path, kind):
    """Here one that keeps accents, which neither a vocab.txt nor --cased can say."""
    (google / "kbert.json").unlink()
    (google / "vocab.txt").unlink()
    vocabulary = Bundle.load(pretrained).tokenizer.vocabulary
    expected = Tokenizer(vocabulary, lowercase=True, strip_accents=False, special_tokens_in_text=True)
    save_tokenizer(expected, tmp_path)
    vocab = tmp_path / "tokenizer.json" if kind == "file" else tmp_path
    assert convert(google, tmp_path / "out", vocab=vocab).largest_difference == 0
    found = Bundle.load(tmp_path / "out").tokenizer
    assert found.settings.differences(expected.settings) == []
    assert found.vocabulary == vocabulary
    with pytest.raises(UsageError, match=r"has its own settings for case and accents. Received: --cased; leave it out"):
        convert(google, tmp_path / "other", vocab=vocab, cased=True)


def test_a_tokenizer_that_is_too_large(google, pretrained, tmp_path):
    vocabulary = Bundle.load(pretrained).tokenizer.vocabulary
    save_tokenizer(Tokenizer(Vocabulary([*vocabulary, "extra"])), tmp_path)
    with pytest.raises(BundleError, match=rf"expected at most the {len(vocabulary)} tokens that the model has"):
        convert(google, tmp_path / "out", vocab=tmp_path / "tokenizer.json")
