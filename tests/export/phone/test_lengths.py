import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kbert.export.phone.lengths import joined_models
from kbert.export.phone.outputs import without_outputs
from kbert.inference.litert_model import litert_model

KERNEL = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)


def model(length, activation):
    return litert_model(
        lambda x: {"y": activation(tf.matmul(x, KERNEL)), "raw_y": tf.matmul(x, KERNEL)},
        [tf.TensorSpec([length, 64], tf.float32, "x")],
    )


@pytest.mark.long
def test_models_of_several_lengths_share_their_weights():
    contents = {"a": model(2, tf.nn.relu), "b": model(3, tf.tanh), "c": model(5, tf.nn.relu)}
    joined = joined_models(contents)
    assert len(joined) < 1.2 * len(contents["a"])
    interpreter = Interpreter(model_content=joined)
    assert sorted(interpreter.get_signature_list()) == ["a", "b", "c"]
    for name, content in contents.items():
        alone = Interpreter(model_content=content).get_signature_runner()
        rows = {"a": 2, "b": 3, "c": 5}[name]
        x = np.linspace(-1, 1, rows * 64, dtype=np.float32).reshape(rows, 64)
        np.testing.assert_array_equal(interpreter.get_signature_runner(name)(x=x)["y"], alone(x=x)["y"])


@pytest.mark.long
def test_outputs_with_a_prefix_are_removed():
    content = model(2, tf.nn.relu)
    assert sorted(Interpreter(model_content=content).get_signature_list()["serving_default"]["outputs"]) == [
        "raw_y",
        "y",
    ]
    runner = Interpreter(model_content=without_outputs(content, "raw_")).get_signature_runner()
    x = np.ones((2, 64), np.float32)
    assert runner(x=x).keys() == {"y"}
    np.testing.assert_allclose(runner(x=x)["y"], np.maximum(x @ KERNEL, 0), atol=1e-4)
