import math

import keras
import numpy as np

from kbert.config import BertConfig
from kbert.layers.attention import attention_bias
from kbert.layers.encoder_block import EncoderBlock

CONFIG = BertConfig(vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12)


def make_block(**changes):
    block = EncoderBlock(CONFIG.replace(**changes), keras.random.SeedGenerator(0))
    block.build((None, None, 8))
    rng = np.random.default_rng(0)
    for variable in block.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return block


def normalize(values, norm):
    centred = values - values.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return centred / deviation * np.asarray(norm.gamma) + np.asarray(norm.beta)


def dense(values, layer):
    return values @ np.asarray(layer.kernel, np.float64) + np.asarray(layer.bias)


def test_each_half_is_added_to_its_input_and_then_normalized():
    block = make_block()
    inputs = np.random.default_rng(1).normal(size=(2, 3, 8)).astype(np.float32)
    bias = attention_bias(np.array([[1, 1, 1], [1, 1, 0]], np.int32))
    hidden = normalize(inputs + np.asarray(block.attention(inputs, bias), np.float64), block.attention_norm)
    inner = dense(hidden, block.intermediate)
    inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    expected = normalize(hidden + dense(inner, block.output_projection), block.output_norm)
    np.testing.assert_allclose(block(inputs, bias), expected, atol=2e-4)


def test_the_activation_is_of_the_config():
    inputs = np.random.default_rng(1).normal(size=(2, 3, 8)).astype(np.float32)
    bias = attention_bias(np.ones((2, 3), np.int32))
    outputs = [np.asarray(make_block(hidden_act=name)(inputs, bias)) for name in ("gelu", "gelu_new", "relu")]
    assert 0 < np.abs(outputs[0] - outputs[1]).max() < 0.005
    assert np.abs(outputs[0] - outputs[2]).max() > 0.02


def test_dropout_while_training_only():
    block = make_block(hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.0)
    inputs = np.random.default_rng(1).normal(size=(2, 3, 8)).astype(np.float32)
    bias = attention_bias(np.ones((2, 3), np.int32))
    np.testing.assert_array_equal(block(inputs, bias), block(inputs, bias, training=False))
    assert not np.allclose(block(inputs, bias, training=True), block(inputs, bias))


def test_the_number_of_parameters():
    # 3H² + 3H, H² + H, 2H, HF + F, FH + H, 2H with H = 8 and F = 12.
    assert make_block().count_params() == 216 + 72 + 16 + 108 + 104 + 16
    assert make_block().compute_output_shape((2, 5, 8)) == (2, 5, 8)
