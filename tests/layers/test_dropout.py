import keras
import numpy as np
import pytest
import tensorflow as tf

from kbert.layers.dropout import Dropout


def test_entries_are_dropped_or_scaled_while_training():
    outputs = np.asarray(Dropout(0.25, keras.random.SeedGenerator(0))(np.ones((100, 100), np.float32), training=True))
    assert set(np.unique(outputs)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (outputs == 0).mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 1), (4, 4)])
def test_shapes_that_are_known_only_when_it_runs(shape):
    layer = Dropout(0.5, keras.random.SeedGenerator(0))
    function = tf.function(
        lambda inputs: layer(inputs, training=True), input_signature=[tf.TensorSpec([None] * len(shape), tf.float32)]
    )
    outputs = function(tf.ones(shape)).numpy()
    assert outputs.shape == shape
    assert set(np.unique(outputs)) <= {np.float32(0), np.float32(2)}


def test_a_rate_close_to_1_leaves_some_entries():
    layer = Dropout(0.999999, keras.random.SeedGenerator(0))
    outputs = np.asarray(layer(np.ones((512, 512), np.float32), training=True))
    assert np.isfinite(outputs).all()
    assert outputs.max() == 65536


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.5, None), (0.0, True)])
def test_nothing_changes_otherwise(rate, training):
    inputs = np.arange(6, dtype=np.float32).reshape(2, 3)
    generator = keras.random.SeedGenerator(0)
    state = np.asarray(generator.state.value)
    np.testing.assert_array_equal(Dropout(rate, generator)(inputs, training=training), inputs)
    np.testing.assert_array_equal(generator.state.value, state)


def test_one_variable_is_all_that_decides_the_masks_of_all_layers():
    generator = keras.random.SeedGenerator(7)
    layers = [Dropout(0.5, generator), Dropout(0.5, generator)]
    inputs = np.ones((8, 8), np.float32)
    state = np.asarray(generator.state.value)
    first = [np.asarray(layer(inputs, training=True)) for layer in layers]
    after = [np.asarray(layer(inputs, training=True)) for layer in layers]
    generator.state.assign(state)
    again = [np.asarray(layer(inputs, training=True)) for layer in layers]
    np.testing.assert_array_equal(first, again)
    masks = [first[0], first[1], after[0], after[1]]
    assert all(not np.array_equal(masks[i], masks[j]) for i in range(4) for j in range(i))
