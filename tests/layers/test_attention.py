import keras
import numpy as np

from kbert.config import BertConfig
from kbert.layers.attention import SelfAttention, attention_bias, packed_attention_bias

CONFIG = BertConfig(vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)


def make_attention(precision="float32", **changes):
    layer = SelfAttention(CONFIG.replace(**changes), keras.random.SeedGenerator(0), precision)
    layer.build((None, None, 8))
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return layer


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def by_hand(layer, inputs, mask):
    """Head by head, in float64."""
    kernel, bias = (np.asarray(v, np.float64) for v in (layer.qkv.kernel, layer.qkv.bias))
    query, key, value = np.split(inputs @ kernel + bias, 3, axis=-1)
    heads = []
    for columns in (slice(0, 4), slice(4, 8)):
        scores = query[..., columns] @ key[..., columns].transpose(0, 2, 1) / 2.0  # √4
        scores = np.where(mask[:, None, :] == 1, scores, -np.inf)
        heads.append(softmax(scores) @ value[..., columns])
    output = layer.output_projection
    return np.concatenate(heads, -1) @ np.asarray(output.kernel) + np.asarray(output.bias)


def test_bias_of_a_mask():
    bias = attention_bias(np.array([[1, 1, 0], [1, 0, 0]], np.int32))
    assert bias.dtype == "float32"
    np.testing.assert_array_equal(bias, [[[[0, 0, -1e4]]], [[[0, -1e4, -1e4]]]])


def test_equals_scaled_dot_product_attention_by_hand():
    layer = make_attention()
    inputs = np.random.default_rng(1).normal(size=(3, 5, 8)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], np.int32)
    outputs = layer(inputs, attention_bias(mask))
    np.testing.assert_allclose(outputs, by_hand(layer, inputs, mask), atol=2e-5)


def test_padded_keys_get_no_attention_at_all():
    layer = make_attention()
    inputs = np.random.default_rng(1).normal(size=(1, 4, 8)).astype(np.float32)
    bias = attention_bias(np.array([[1, 1, 0, 0]], np.int32))
    other = inputs.copy()
    other[:, 2:] = 50
    np.testing.assert_array_equal(layer(inputs, bias)[:, :2], layer(other, bias)[:, :2])
    without = attention_bias(np.ones((1, 4), np.int32))
    assert not np.allclose(layer(inputs, without)[:, :2], layer(other, without)[:, :2])


def test_without_scores_attention_is_the_mean_of_values():
    layer = make_attention()
    kernel = np.asarray(layer.qkv.kernel).copy()
    kernel[:, :8] = 0
    layer.qkv.kernel.assign(kernel)
    layer.qkv.bias.assign(np.zeros(24))
    layer.output_projection.kernel.assign(np.eye(8))
    layer.output_projection.bias.assign(np.zeros(8))
    inputs = np.random.default_rng(1).normal(size=(1, 4, 8)).astype(np.float32)
    outputs = layer(inputs, attention_bias(np.array([[1, 1, 1, 0]], np.int32)))
    mean = (inputs[0, :3] @ kernel[:, 16:]).mean(0)
    np.testing.assert_allclose(outputs, np.broadcast_to(mean, (1, 4, 8)), atol=1e-5)


def test_probabilities_are_dropped_while_training():
    layer = make_attention(attention_probs_dropout_prob=0.5)
    inputs = np.random.default_rng(1).normal(size=(1, 4, 8)).astype(np.float32)
    bias = attention_bias(np.ones((1, 4), np.int32))
    np.testing.assert_array_equal(layer(inputs, bias), layer(inputs, bias, training=False))
    assert not np.allclose(layer(inputs, bias, training=True), layer(inputs, bias))


def test_bfloat16_is_near_and_gives_float32():
    inputs = np.random.default_rng(1).normal(size=(2, 4, 8)).astype(np.float32)
    bias = attention_bias(np.ones((2, 4), np.int32))
    exact, rounded = (np.asarray(make_attention(p)(inputs, bias)) for p in ("float32", "bfloat16"))
    assert rounded.dtype == np.float32
    difference = np.abs(exact - rounded).max()
    assert 1e-4 < difference < 0.1 * np.abs(exact).max()


def test_there_are_three_projections_in_one():
    layer = make_attention()
    assert {v.path.split("/", 1)[1]: tuple(v.shape) for v in layer.variables if v.trainable} == {
        "qkv/kernel": (8, 24),
        "qkv/bias": (24,),
        "output/kernel": (8, 8),
        "output/bias": (8,),
    }
    assert layer.compute_output_shape((2, 5, 8)) == (2, 5, 8)


def test_bias_of_packed_examples():
    """Each attends to itself; padding to padding, so that no row of scores is empty."""
    bias = packed_attention_bias(np.array([[1, 2, 2, 0]], np.int32))
    assert bias.dtype == "float32"
    no = -1e4
    np.testing.assert_array_equal(bias, [[[[0, no, no, no], [no, 0, 0, no], [no, 0, 0, no], [no, no, no, 0]]]])


def test_packed_examples_do_not_see_each_other():
    layer = make_attention()
    inputs = np.random.default_rng(1).normal(size=(1, 7, 8)).astype(np.float32)
    outputs = layer(inputs, packed_attention_bias(np.array([[1, 1, 1, 2, 2, 2, 2]], np.int32)))
    for begin, end in ((0, 3), (3, 7)):
        alone = layer(inputs[:, begin:end], attention_bias(np.ones((1, end - begin), np.int32)))
        np.testing.assert_allclose(outputs[:, begin:end], alone, atol=1e-5)


def test_the_probabilities_of_the_heads():
    layer = make_attention()
    inputs = np.random.default_rng(1).normal(size=(2, 4, 8)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int32)
    found = np.asarray(layer.probabilities(inputs, attention_bias(mask)))
    kernel, bias = (np.asarray(v, np.float64) for v in (layer.qkv.kernel, layer.qkv.bias))
    query, key, _ = np.split(inputs @ kernel + bias, 3, axis=-1)
    scores = query[..., 4:] @ key[..., 4:].transpose(0, 2, 1) / 2.0  # √4
    expected = softmax(np.where(mask[:, None, :] == 1, scores, -np.inf))
    assert found.shape == (2, 2, 4, 4)
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-5)
