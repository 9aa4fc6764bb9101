import numpy as np
import tensorflow as tf

from kbert.layers.padding import PaddedRows, TokenRow, drop_padding, pad_rows

MASK = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1]], np.int32)
PLACES = np.array([0, 1, 6, 8], np.int32)
TOKENS = np.array([[0, 1, 4], [4, 4, 4], [2, 4, 3]], np.int32)
HIDDEN = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]], np.float32)
PADDED = [[[1, 2], [3, 4], [0, 0]], [[0, 0], [0, 0], [0, 0]], [[5, 6], [0, 0], [7, 8]]]


def test_the_tokens_of_a_batch():
    ids = np.array([[11, 12, 0], [0, 0, 0], [13, 0, 14]], np.int32)
    places, tokens, positions, row = (values.numpy().tolist() for values in TokenRow()(MASK, ids))
    assert places == PLACES.tolist()
    assert tokens == TOKENS.tolist()
    assert positions == [[0, 1, 0, 2]]
    assert row == [[11, 12, 13, 14]]


def test_rows_and_back():
    assert PaddedRows()(HIDDEN, PLACES, TOKENS).numpy().tolist() == PADDED
    assert drop_padding(np.array(PADDED, np.float32), PLACES, TOKENS).numpy().tolist() == HIDDEN.tolist()


def test_no_token_at_all():
    nothing = np.zeros((2, 3), np.int32)
    places, tokens, positions = TokenRow()(nothing)
    assert positions.shape == (1, 0)
    assert pad_rows(np.zeros((1, 0, 2), np.float32), places, tokens).numpy().tolist() == np.zeros((2, 3, 2)).tolist()


def test_gradients():
    """Each is the gradient of the other; that of a place with padding is lost."""
    above = np.arange(18, dtype=np.float32).reshape(3, 3, 2)
    hidden = tf.constant(HIDDEN)
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        total = tf.reduce_sum(pad_rows(hidden, PLACES, TOKENS) * above)
    assert tape.gradient(total, hidden).numpy().tolist() == [[[0, 1], [2, 3], [12, 13], [16, 17]]]

    padded = tf.constant(PADDED, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(padded)
        total = tf.reduce_sum(drop_padding(padded, PLACES, TOKENS) * HIDDEN)
    assert tape.gradient(total, padded).numpy().tolist() == PADDED
