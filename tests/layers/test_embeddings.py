import keras
import numpy as np
import pytest

from kbert.config import BertConfig
from kbert.layers.embeddings import Embeddings

CONFIG = BertConfig(
    vocab_size=5,
    hidden_size=2,
    num_hidden_layers=1,
    num_attention_heads=1,
    intermediate_size=4,
    max_position_embeddings=4,
)


@pytest.fixture
def layer():
    layer = Embeddings(CONFIG, keras.random.SeedGenerator(0))
    layer.build()
    layer.token_table.assign([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]])
    layer.position_table.assign([[0, 0], [0, 10], [0, 20], [0, 30]])
    layer.type_table.assign([[0, 0], [100, 0]])
    return layer


def test_tables_have_the_sizes_of_the_config(layer):
    assert tuple(layer.token_table.shape) == (5, 2)
    assert tuple(layer.position_table.shape) == (4, 2)
    assert tuple(layer.type_table.shape) == (2, 2)


def test_tokens_positions_and_types_are_added_and_normalized(layer):
    layer.norm.beta.assign([0.5, 0.25])
    layer.norm.gamma.assign([2.0, 3.0])
    ids = np.array([[4, 1, 3]], np.int32)
    types = np.array([[0, 0, 1]], np.int32)
    # The sums are [4, 0], [1, 10] and [103, 20]: of two numbers, the larger is 1 after LayerNorm, the other -1.
    expected = [[[2.5, -2.75], [-1.5, 3.25], [2.5, -2.75]]]
    np.testing.assert_allclose(layer(ids, types), expected, atol=1e-5)


def test_epsilon_is_of_the_config(layer):
    ids, types = np.array([[1]], np.int32), np.array([[0]], np.int32)
    layer.token_table.assign(np.full((5, 2), [2e-6, 0]))
    # A variance of 1e-12 and an epsilon of 1e-12.
    np.testing.assert_allclose(layer(ids, types), [[[0.5**0.5, -(0.5**0.5)]]], rtol=1e-4)


def test_gradients_reach_the_rows_that_were_used(layer):
    import tensorflow as tf

    layer.norm.gamma.assign([1.0, 2.0])
    ids, types = np.array([[4, 1, 4]], np.int32), np.array([[0, 1, 1]], np.int32)
    tables = [layer.token_table.value, layer.position_table.value, layer.type_table.value]
    with tf.GradientTape() as tape:
        # The token table scaled so that LayerNorm's slope is not 0.
        layer.token_table.assign(np.random.default_rng(0).normal(size=(5, 2)) * 1e-6)
        layer.position_table.assign(np.zeros((4, 2)))
        layer.type_table.assign(np.zeros((2, 2)))
        loss = tf.reduce_sum(layer(ids, types)[..., 0])
    used = [np.abs(tf.convert_to_tensor(g)).sum(-1) > 0 for g in tape.gradient(loss, tables)]
    assert [rows.tolist() for rows in used] == [
        [False, True, False, False, True],
        [True, True, True, False],
        [True, True],
    ]


def test_dropout_comes_last_and_while_training_only():
    layer = Embeddings(CONFIG.replace(hidden_dropout_prob=0.5), keras.random.SeedGenerator(0))
    layer.build()
    ids = np.tile(np.arange(4, dtype=np.int32), (50, 1))
    plain = np.asarray(layer(ids, ids * 0))
    dropped = np.asarray(layer(ids, ids * 0, training=True))
    zeros = dropped == 0
    assert zeros.mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(dropped[~zeros], 2 * plain[~zeros], rtol=1e-6)


def test_output_shape(layer):
    assert layer.compute_output_shape((7, 3)) == (7, 3, 2)


def test_positions_of_packed_examples_are_given(layer):
    ids, types = np.array([[4, 1, 3, 2, 1]], np.int32), np.zeros((1, 5), np.int32)
    positions = np.array([[0, 1, 2, 0, 1]], np.int32)  # five tokens in a row, four positions in the table
    outputs = layer(ids, types, positions)
    np.testing.assert_array_equal(outputs[:, :3], layer(ids[:, :3], types[:, :3]))
    np.testing.assert_array_equal(outputs[:, 3:], layer(ids[:, 3:], types[:, 3:]))
