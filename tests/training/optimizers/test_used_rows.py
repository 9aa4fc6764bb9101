"""Training the used rows of a table gives the weights of training the whole table."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kbert.training.optimizers.adamw import AdamW
from kbert.training.optimizers.lamb import Lamb
from kbert.training.optimizers.settings import OptimizerSettings

USED = np.array([1, 4, 5, 8])
# The rows that each step reads; some are read several times.
READ = [[1, 5, 5], [4, 1, 8], [8, 8, 8], [5, 4, 1], [1, 1, 4]]


def _table():
    return keras.Variable(np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32), name="token_table")


def _train(table, optimizer, steps, first=0):
    rng = np.random.default_rng(1)
    gradients = [rng.normal(size=(3, 3)).astype(np.float32) for _ in READ]
    [trained] = optimizer.trained
    for index in range(first, first + steps):
        slices = tf.IndexedSlices(tf.constant(gradients[index]), tf.constant(READ[index], tf.int32), (10, 3))
        clipped, norm = optimizer.clip([trained.dense(slices)])
        optimizer.apply(clipped, tf.constant(0.1 / (index + 1)), tf.constant(index, tf.int64))
        # The model reads the used rows of the table after each step.
        assert np.array_equal(table.numpy()[USED], trained.variable.numpy()[: len(USED)]) or trained.rows is None
    return float(norm)


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_equals_training_the_whole_table(bias_correction, weight_decay):
    settings = OptimizerSettings(bias_correction=bias_correction, weight_decay=weight_decay)
    whole, part = _table(), _table()
    start = part.numpy()
    dense = AdamW([whole], settings)
    rows = AdamW([part], settings, {part.path: USED})
    assert [slot.shape.as_list() for slot in rows.slots.values()] == [[4, 3], [4, 3], [4, 3], [1]]
    assert _train(part, rows, 5) == pytest.approx(_train(whole, dense, 5), rel=1e-6)
    others = np.setdiff1d(np.arange(10), USED)
    assert np.array_equal(part.numpy()[others], start[others])
    rows.settle()
    np.testing.assert_allclose(part.numpy(), whole.numpy(), rtol=1e-6, atol=1e-7)
    assert (np.abs(part.numpy()[others] - start[others]).max() > 0.05) == (weight_decay > 0)
    settled = part.numpy()
    rows.settle()
    assert np.array_equal(part.numpy(), settled)


def test_the_state_is_complete():
    """Weights and slots of step 3, in another table and optimizer, continue to the same bits."""
    settings = OptimizerSettings(weight_decay=0.3)
    first, second = _table(), _table()
    one = AdamW([first], settings, {first.path: USED})
    _train(first, one, 3)
    two = AdamW([second], settings, {second.path: USED})
    second.assign(first.numpy())
    for name, slot in one.slots.items():
        two.slots[name.replace(first.path, second.path)].assign(slot)
    for table, optimizer in ((first, one), (second, two)):
        _train(table, optimizer, 2, first=3)
        optimizer.settle()
    assert np.array_equal(first.numpy(), second.numpy())


def test_an_optimizer_that_needs_whole_tables_trains_them():
    table = _table()
    [trained] = Lamb([table], OptimizerSettings("lamb"), {table.path: USED}).trained
    assert trained.rows is None
    assert trained.variable is table.value
