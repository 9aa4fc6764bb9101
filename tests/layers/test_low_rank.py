import keras
import numpy as np
import pytest
import tensorflow as tf

from kbert.config import BertConfig
from kbert.errors import UsageError
from kbert.layers.attention import SelfAttention
from kbert.layers.projection import Projection


def built(units=6, width=4):
    layer = Projection(units, keras.initializers.RandomNormal(seed=1))
    layer.build((None, width))
    return layer


def random_factors(layer):
    rng = np.random.default_rng(0)
    for part in layer.low_rank_parts:
        part.down.assign(rng.normal(size=part.down.shape))
        part.up.assign(rng.normal(size=part.up.shape))


def test_the_sum_is_added_to_the_columns_of_each_part():
    layer = Projection(6, "zeros")
    layer.build((None, 2))
    layer.enable_lora(1, 3.0, columns={"query": (0, 3), "value": (2, 3)})
    query, value = layer.low_rank_parts
    query.down.assign([[1], [2]])
    query.up.assign([[1, 10]])
    value.down.assign([[1], [0]])
    value.up.assign([[5, 7]])
    kernel = [[3, 30, 0, 0, 15, 21], [6, 60, 0, 0, 0, 0]]
    np.testing.assert_array_equal(layer.merged_kernel(), kernel)
    np.testing.assert_array_equal(layer(np.eye(2, dtype=np.float32)), kernel)


def test_outputs_do_not_change_when_it_is_enabled():
    layer, inputs = built(), np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    before = np.array(layer(inputs))
    layer.enable_lora(2)
    np.testing.assert_array_equal(layer(inputs), before)


def test_gradients_equal_those_of_the_sum():
    layer, inputs = built(), tf.constant(np.random.default_rng(0).normal(size=(3, 4)), tf.float32)
    layer.enable_lora(2, 5.0, columns={"first": (0, 2), "second": (1, 2)})
    random_factors(layer)
    variables = [variable.value for part in layer.low_rank_parts for variable in (part.down, part.up)]

    def gradients(outputs_of):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.sin(outputs_of()))
        return tape.gradient(loss, [inputs, *variables])

    def expected():
        downs, ups = variables[::2], variables[1::2]
        kernel = tf.convert_to_tensor(layer.kernel)
        added = tf.concat([2.5 * down @ up for down, up in zip(downs, ups, strict=True)], axis=-1)
        return inputs @ (kernel + added) + tf.convert_to_tensor(layer.bias)

    for received, wanted in zip(gradients(lambda: layer(inputs)), gradients(expected), strict=True):
        np.testing.assert_allclose(received, wanted, rtol=1e-5, atol=1e-6)


def test_only_the_factors_and_the_bias_are_trained():
    layer = built()
    layer.enable_lora(2)
    assert [variable.name for variable in layer.trainable_variables] == ["bias", "lora_kernel_a", "lora_kernel_b"]


def test_fit_trains_the_factors_and_leaves_the_kernel():
    model = keras.Sequential([keras.Input((4,)), built()])
    (layer,) = model.layers
    kernel = np.array(layer.kernel)
    layer.enable_lora(2)
    model.compile("sgd", "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(8, 4)), rng.normal(size=(8, 6)), epochs=2, verbose=0)
    np.testing.assert_array_equal(layer.kernel, kernel)
    assert np.abs(layer.low_rank_parts[0].up).max() > 0


def test_files_of_weights_contain_the_sum(tmp_path):
    model = keras.Sequential([keras.Input((4,)), built()])
    (layer,) = model.layers
    layer.enable_lora(2)
    random_factors(layer)
    model.save_weights(tmp_path / "sum.weights.h5")
    merged = np.array(layer.merged_kernel())
    plain = keras.Sequential([keras.Input((4,)), built()])
    plain.load_weights(tmp_path / "sum.weights.h5")
    np.testing.assert_array_equal(plain.layers[0].kernel, merged)
    model.load_weights(tmp_path / "sum.weights.h5")  # B becomes 0, so that the sum is not added twice
    np.testing.assert_array_equal(layer.merged_kernel(), merged)


@pytest.mark.parametrize("rank", [0, -1, 1.5, True])
def test_ranks_that_are_refused(rank):
    with pytest.raises(UsageError, match=r"rank must be a whole number of at least 1. Received: rank="):
        built().enable_lora(rank)


def test_lora_is_added_only_once_and_to_a_layer_that_is_built():
    layer = built()
    layer.enable_lora(2)
    with pytest.raises(UsageError, match=r"only once"):
        layer.enable_lora(2)
    with pytest.raises(UsageError, match=r"is not; call it"):
        Projection(2, "zeros", name="fresh").enable_lora(2)


def test_attention_gets_factors_for_its_targets():
    attention = SelfAttention(BertConfig(20, 8, 1, 2, 16, max_position_embeddings=16), 0)
    attention.build((None, None, 8))
    with pytest.raises(UsageError, match=r"targets must be some of query, key, value. Received: targets="):
        attention.enable_lora(2, targets=("query", "dense"))
    attention.enable_lora(2, targets=("value", "key"))
    assert [(part.name, part.columns) for part in attention.qkv.low_rank_parts] == [("key", (1, 3)), ("value", (2, 3))]
    assert attention.qkv.lora_rank == 2
