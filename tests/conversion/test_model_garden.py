"""Object-based checkpoints with the names of the Model Garden; tests/peers/test_model_garden.py uses its own models."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.conversion.convert import convert
from kbert.errors import BundleError
from kbert.model_folder.bundle import Bundle


def node(**children):
    """An object that TensorFlow tracks, with attributes of any names."""
    made = tf.Module()
    for name, value in children.items():
        setattr(made, name, tf.Variable(value) if isinstance(value, np.ndarray) else value)
    return made


def dense(tensors, name, kernel=None, bias=None):
    kernel_shape, bias_shape = kernel or tensors[f"{name}.weight"].T.shape, bias or tensors[f"{name}.bias"].shape
    return node(
        kernel=tensors[f"{name}.weight"].T.reshape(kernel_shape), bias=tensors[f"{name}.bias"].reshape(bias_shape)
    )


def norm(tensors, name):
    return node(gamma=tensors[f"{name}.weight"], beta=tensors[f"{name}.bias"])


def block(tensors, name):
    heads = {"kernel": (32, 2, 16), "bias": (2, 16)}
    attention = node(
        _query_dense=dense(tensors, f"{name}.attention.self.query", **heads),
        _key_dense=dense(tensors, f"{name}.attention.self.key", **heads),
        _value_dense=dense(tensors, f"{name}.attention.self.value", **heads),
        _output_dense=dense(tensors, f"{name}.attention.output.dense", (2, 16, 32)),
    )
    return node(
        _attention_layer=attention,
        _attention_layer_norm=norm(tensors, f"{name}.attention.output.LayerNorm"),
        _intermediate_dense=dense(tensors, f"{name}.intermediate.dense"),
        _output_dense=dense(tensors, f"{name}.output.dense"),
        _output_layer_norm=norm(tensors, f"{name}.output.LayerNorm"),
    )


def encoder(tensors, numbered):
    tables = [f"bert.embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
    parts = [
        *(node(embeddings=tensors[name]) for name in tables),
        norm(tensors, "bert.embeddings.LayerNorm"),
        *(block(tensors, f"bert.encoder.layer.{index}") for index in range(2)),
        dense(tensors, "bert.pooler.dense"),
    ]
    if numbered:
        return node(**{f"layer_with_weights-{index}": part for index, part in enumerate(parts)})
    names = ("_embedding_layer", "_position_embedding_layer", "_type_embedding_layer", "_embedding_norm_layer")
    return node(**dict(zip(names, parts[:4], strict=True)), _transformer_layers=parts[4:6], _pooler_layer=parts[6])


def save(folder, vocabulary, **roots):
    tf.train.Checkpoint(**roots).save(folder / "ckpt")
    vocabulary.save(folder / "vocab.txt")
    return folder


def assert_holds(folder, source, architecture, names):
    bundle = Bundle.load(folder)
    assert (bundle.architecture, bundle.config.hidden_act) == (architecture, "gelu_new")
    expected = {name: tensor for name, tensor in source.items() if name.startswith(names)}
    assert bundle.tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(bundle.tensors[name], tensor, name)


@pytest.fixture(scope="module")
def tensors(pretrained):
    return Bundle.load(pretrained).tensors


@pytest.mark.parametrize("numbered", [False, True])
def test_an_encoder(tmp_path, tensors, vocabulary, numbered):
    folder = save(tmp_path / "garden", vocabulary, model=encoder(tensors, numbered))
    result = convert(folder, tmp_path / "out")
    assert (result.source_format, result.tensors) == ("model-garden", 39)
    assert_holds(tmp_path / "out", tensors, "BertModel", ("bert.",))


def pretrainer(tensors, classes=2):
    head = node(
        embedding_table=tensors["bert.embeddings.word_embeddings.weight"],
        dense=dense(tensors, "cls.predictions.transform.dense"),
        layer_norm=norm(tensors, "cls.predictions.transform.LayerNorm"),
        output_bias=node(bias=tensors["cls.predictions.bias"]),
    )
    rows = np.resize(tensors["cls.seq_relationship.weight"], (classes, 32))
    projection = node(kernel=rows.T.copy(), bias=np.resize(tensors["cls.seq_relationship.bias"], classes))
    return {"masked_lm": head, "next": node(out_proj=projection, dense=dense(tensors, "bert.pooler.dense"))}


def test_a_pretrainer(tmp_path, tensors, vocabulary):
    # The encoder's own pooler was not trained: that of the head takes its place.
    untrained = tensors | {"bert.pooler.dense.weight": np.zeros((32, 32), np.float32)}
    folder = save(tmp_path / "garden", vocabulary, encoder=encoder(untrained, False), **pretrainer(tensors))
    result = convert(folder, tmp_path / "out")
    assert "the pooler is taken from the checkpoint's head, with which it was trained" in result.notes
    assert_holds(tmp_path / "out", tensors, "BertForPreTraining", ("bert.", "cls."))
    convert(folder, tmp_path / "encoder", encoder_only=True)
    assert Bundle.load(tmp_path / "encoder").architecture == "BertModel"


def test_a_classifier(tmp_path, tensors, classifier, vocabulary):
    source = Bundle.load(classifier).tensors
    folder = save(
        tmp_path / "garden", vocabulary, encoder=encoder(source, False), head=node(out_proj=dense(source, "classifier"))
    )
    assert set(convert(folder, tmp_path / "out").differences) == {"sequence_output", "pooled_output", "logits"}
    assert_holds(tmp_path / "out", source, "BertForSequenceClassification", ("bert.", "classifier."))


def test_what_is_wrong_with_a_checkpoint_is_said_in_one_line(tmp_path, tensors, vocabulary):
    folder = save(tmp_path / "a", vocabulary, model=node(weights=np.zeros(3, np.float32)))
    with pytest.raises(BundleError, match=r"holds no BertEncoder or BertEncoderV2 of the Model Garden: expected"):
        convert(folder, tmp_path / "out")
    folder = save(tmp_path / "b", vocabulary, encoder=encoder(tensors, False), **pretrainer(tensors, 3))
    with pytest.raises(BundleError, match=r"must have 2 classes, as next sentence prediction has\. Received: 3; "):
        convert(folder, tmp_path / "out")
    lacking = encoder(tensors, False)
    lacking._pooler_layer = node(kernel=np.zeros((32, 32), np.float32))
    folder = save(tmp_path / "c", vocabulary, encoder=lacking)
    with pytest.raises(BundleError, match=r"has no tensor _pooler_layer/bias of shape \[32\]$"):
        convert(folder, tmp_path / "out")
