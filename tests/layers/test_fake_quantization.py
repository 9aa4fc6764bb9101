import keras
import numpy as np
import pytest
import tensorflow as tf

from kbert.config import BertConfig
from kbert.errors import UsageError
from kbert.layers.embeddings import Embeddings
from kbert.layers.fake_quantization import rounded_kernel, rounded_rows, straight_through
from kbert.layers.projection import Projection


def test_a_kernel_has_a_scale_for_each_column():
    kernel = np.array([[127.0, 1.27], [0.6, 0.013], [-3.4, -1.0], [0.0, 0.004]], np.float32)
    expected = [[127, 1.27], [1, 0.01], [-3, -1.0], [0, 0]]
    np.testing.assert_allclose(rounded_kernel(kernel, "int8"), expected, rtol=1e-6)


def test_int4_cuts_off_the_largest_weights():
    kernel = np.ones((100, 1), np.float32)
    kernel[0] = -11.0  # the root mean square is the square root of 2.2
    largest = 2.56 * np.sqrt(2.2)
    received = np.array(rounded_kernel(kernel, "int4"))
    assert received[0, 0] == pytest.approx(-largest, rel=1e-6)
    np.testing.assert_allclose(received[1:], 2 * largest / 7, rtol=1e-6)


def test_int4_of_weights_without_outliers_has_the_largest_weight_as_its_range():
    kernel = np.array([[7.0], [-3.4], [6.6], [-7.0]], np.float32)
    np.testing.assert_allclose(rounded_kernel(kernel, "int4"), [[7], [-3], [7], [-7]], rtol=1e-6)


def test_a_table_has_one_scale_with_int8_and_one_for_each_block_with_int4():
    table = np.zeros((2, 64), np.float32)
    table[0, :2], table[1, 32:34] = (12.7, 0.26), (7.0, 2.4)
    rows = table[[1, 0, 1]].reshape(1, 3, 64)
    received = np.array(rounded_rows(rows, table, "int8"))
    np.testing.assert_allclose(received[0, 1, :2], [12.7, 0.3], rtol=1e-6)
    np.testing.assert_allclose(received[0, 0, 32:34], [7.0, 2.4], rtol=1e-6)
    received = np.array(rounded_rows(rows, table, "int4"))
    assert received.shape == (1, 3, 64)
    np.testing.assert_allclose(received[0, 0, 32:34], [7.0, 2.0], rtol=1e-6)
    scale = 1.8125  # 12.7 / 7 in bfloat16
    np.testing.assert_allclose(received[0, 1, :2], [7 * scale, 0], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_rounding_twice_changes_nothing(dtype):
    kernel = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    once = np.array(rounded_kernel(kernel, dtype))
    if dtype == "int8":
        np.testing.assert_allclose(rounded_kernel(once, dtype), once, rtol=1e-6)
    rows = np.array(rounded_rows(kernel.T, kernel.T, dtype))
    np.testing.assert_allclose(rounded_rows(rows, rows, dtype), rows, rtol=1e-6)


def test_the_gradient_is_that_of_the_rounded_weights():
    weights = tf.Variable([[1.4], [127.0]])
    with tf.GradientTape() as tape:
        rounded = straight_through(weights, lambda kernel: rounded_kernel(kernel, "int8"))
        loss = tf.reduce_sum(rounded**2)
    np.testing.assert_allclose(rounded, [[1], [127]])
    np.testing.assert_allclose(tape.gradient(loss, weights), [[2], [254]])


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_a_projection_computes_with_the_rounded_kernel(dtype):
    layer = Projection(3, keras.initializers.RandomNormal(seed=1))
    layer.build((None, 8))
    kernel, inputs = np.array(layer.kernel), np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    layer.enable_fake_quantization(dtype)
    rounded = np.array(rounded_kernel(kernel, dtype))
    np.testing.assert_allclose(layer(inputs), inputs @ rounded, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.kernel, kernel)
    layer.store_rounded_weights()
    np.testing.assert_array_equal(layer.kernel, rounded)
    np.testing.assert_allclose(layer(inputs), inputs @ rounded, rtol=1e-5, atol=1e-6)


def test_the_table_of_positions_is_not_rounded():
    config = BertConfig(vocab_size=9, hidden_size=32, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
                        max_position_embeddings=6)  # fmt: skip
    layer = Embeddings(config, 0)
    layer.build()
    ids = np.array([[1, 3, 8]], np.int32)
    before = {name: np.array(getattr(layer, name)) for name in ("token_table", "position_table", "type_table")}
    layer.enable_fake_quantization("int8")
    outputs = np.array(layer(ids, ids * 0))
    layer.store_rounded_weights()
    np.testing.assert_allclose(layer(ids, ids * 0), outputs, rtol=1e-5, atol=1e-5)
    for name, values in before.items():
        scale = np.abs(values).max() / 127
        rounded = values if name == "position_table" else np.round(values / scale) * scale
        np.testing.assert_allclose(getattr(layer, name), rounded, rtol=1e-5, atol=1e-7)


def test_what_is_refused():
    layer = Projection(2, "ones")
    layer.build((None, 2))
    with pytest.raises(UsageError, match=r"^the dtype must be one of int8, int4. Received: 'int2'$"):
        layer.enable_fake_quantization("int2")
    layer.enable_lora(1)
    with pytest.raises(UsageError, match=r"has either LoRA or fake quantization. .* has LoRA$"):
        layer.enable_fake_quantization("int8")
    narrow = Embeddings(BertConfig(hidden_size=16, num_attention_heads=1), 0)
    with pytest.raises(
        UsageError, match=r"^int4 needs a hidden size that is a multiple of 32. Received: hidden size 16"
    ):
        narrow.enable_fake_quantization("int4")
