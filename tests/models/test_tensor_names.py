import numpy as np
import pytest

from kbert.errors import BundleError
from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel
from kbert.models.tensor_names import (
    assign_tensors,
    encoder_bindings,
    pretraining_bindings,
    read_tensors,
)


@pytest.fixture
def model(small_config):
    return PretrainingModel(BertEncoder(small_config.replace(num_hidden_layers=1)))


def test_names_and_shapes_are_those_of_transformers(model):
    assert {name: binding.shape for name, binding in pretraining_bindings(model).items()} == {
        "bert.embeddings.word_embeddings.weight": (23, 32),
        "bert.embeddings.position_embeddings.weight": (32, 32),
        "bert.embeddings.token_type_embeddings.weight": (2, 32),
        "bert.embeddings.LayerNorm.weight": (32,),
        "bert.embeddings.LayerNorm.bias": (32,),
        "bert.encoder.layer.0.attention.self.query.weight": (32, 32),
        "bert.encoder.layer.0.attention.self.query.bias": (32,),
        "bert.encoder.layer.0.attention.self.key.weight": (32, 32),
        "bert.encoder.layer.0.attention.self.key.bias": (32,),
        "bert.encoder.layer.0.attention.self.value.weight": (32, 32),
        "bert.encoder.layer.0.attention.self.value.bias": (32,),
        "bert.encoder.layer.0.attention.output.dense.weight": (32, 32),
        "bert.encoder.layer.0.attention.output.dense.bias": (32,),
        "bert.encoder.layer.0.attention.output.LayerNorm.weight": (32,),
        "bert.encoder.layer.0.attention.output.LayerNorm.bias": (32,),
        "bert.encoder.layer.0.intermediate.dense.weight": (64, 32),
        "bert.encoder.layer.0.intermediate.dense.bias": (64,),
        "bert.encoder.layer.0.output.dense.weight": (32, 64),
        "bert.encoder.layer.0.output.dense.bias": (32,),
        "bert.encoder.layer.0.output.LayerNorm.weight": (32,),
        "bert.encoder.layer.0.output.LayerNorm.bias": (32,),
        "bert.pooler.dense.weight": (32, 32),
        "bert.pooler.dense.bias": (32,),
        "cls.predictions.bias": (23,),
        "cls.predictions.transform.dense.weight": (32, 32),
        "cls.predictions.transform.dense.bias": (32,),
        "cls.predictions.transform.LayerNorm.weight": (32,),
        "cls.predictions.transform.LayerNorm.bias": (32,),
        "cls.seq_relationship.weight": (2, 32),
        "cls.seq_relationship.bias": (2,),
    }


def test_every_trainable_variable_has_its_bindings(model):
    bindings = pretraining_bindings(model)
    assert {id(binding.variable) for binding in bindings.values()} == {id(v) for v in model.trainable_variables}
    assert sum(np.prod(binding.shape) for binding in bindings.values()) == sum(
        np.prod(variable.shape) for variable in model.trainable_variables
    )


def test_the_prefix_is_free(model):
    names = list(encoder_bindings(model.encoder, prefix=""))
    assert names[0] == "embeddings.word_embeddings.weight"
    assert [f"bert.{name}" for name in names] == list(encoder_bindings(model.encoder))


def test_queries_keys_and_values_are_thirds_of_one_kernel(model, random_tensors):
    bindings = pretraining_bindings(model)
    tensors = random_tensors(bindings)
    assign_tensors(bindings, tensors)
    name = "bert.encoder.layer.0.attention.self"
    qkv = model.encoder.blocks[0].attention.qkv
    for part, kind in enumerate(("query", "key", "value")):
        columns = slice(32 * part, 32 * part + 32)
        np.testing.assert_array_equal(np.asarray(qkv.kernel)[:, columns], tensors[f"{name}.{kind}.weight"].T)
        np.testing.assert_array_equal(np.asarray(qkv.bias)[columns], tensors[f"{name}.{kind}.bias"])
    dense = model.encoder.blocks[0].intermediate
    np.testing.assert_array_equal(dense.kernel, tensors["bert.encoder.layer.0.intermediate.dense.weight"].T)


def test_assigned_tensors_are_read_back(model, random_tensors):
    bindings = pretraining_bindings(model)
    tensors = random_tensors(bindings)
    assign_tensors(bindings, tensors | {"unknown": np.zeros(3)})
    read = read_tensors(bindings)
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor)
        assert read[name].dtype == np.float32
        assert read[name].flags["C_CONTIGUOUS"]


def test_a_missing_tensor_changes_nothing(model, random_tensors):
    bindings = pretraining_bindings(model)
    before = read_tensors(bindings)
    tensors = random_tensors(bindings)
    del tensors["cls.seq_relationship.bias"]
    with pytest.raises(
        BundleError,
        match=r"^expected the tensor cls.seq_relationship.bias of shape \[2\]\. Received: weights without it$",
    ):
        assign_tensors(bindings, tensors)
    for name, tensor in read_tensors(bindings).items():
        np.testing.assert_array_equal(tensor, before[name])


def test_a_tensor_of_another_shape(model, random_tensors):
    bindings = pretraining_bindings(model)
    tensors = random_tensors(bindings)
    tensors["bert.encoder.layer.0.intermediate.dense.weight"] = np.zeros((32, 64), np.float32)
    with pytest.raises(BundleError, match=r"must have the shape \[64, 32\], .* Received: \[32, 64\]$"):
        assign_tensors(bindings, tensors)
