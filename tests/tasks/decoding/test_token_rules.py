import numpy as np
import pytest
import tensorflow as tf

from kbert.tasks.decoding.settings import Decoding
from kbert.tasks.decoding.token_rules import TokenRules
from kbert.text.vocabulary import Vocabulary


class FixedLogits:
    """A model whose logits are the given vectors."""

    def __init__(self, size):
        self.encoder = type("Encoder", (), {"config": type("Config", (), {"vocab_size": size})})

    def next_logits(self, hidden):
        return hidden


TOKENS = "[PAD] [UNK] [CLS] [SEP] [MASK] [unused1] a b c".split()
A, B, C, END = 6, 7, 8, 3


def possible(decoding, tokens, count, longest=6):
    """The tokens that have a probability behind each of some answers."""
    rules = TokenRules(FixedLogits(10), Vocabulary(TOKENS), decoding, longest)
    tokens = np.int32(tokens)
    hidden = tf.zeros([*tokens.shape[:2], 10])
    found = np.exp(rules.log_probabilities(hidden, tf.constant(tokens), tf.constant(count)).numpy())
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    return [[set(np.flatnonzero(row > 0).tolist()) for row in rows] for rows in found]


def test_only_text_and_the_end_are_possible():
    assert possible(Decoding(), [[[END] * 7]], 0) == [[{A, B, C, END}]]


def test_the_longest_answer_has_an_end_and_a_short_one_has_none():
    assert possible(Decoding(), [[[A, B, A, B, A, B, END]]], 6) == [[{END}]]
    assert possible(Decoding(min_target=2), [[[A, END, END, END, END, END, END]]], 1) == [[{A, B, C}]]
    assert possible(Decoding(min_target=2), [[[A, A, END, END, END, END, END]]], 2) == [[{A, B, C, END}]]


@pytest.mark.parametrize(
    ("size", "tokens", "expected"),
    [
        (1, [A, B], {C, END}),
        (2, [A, B, A], {A, C, END}),
        (2, [A], {A, B, C, END}),
        (3, [A, B, C, A, B], {A, B, END}),
        (3, [A, B], {A, B, C, END}),
    ],
)
def test_an_n_gram_is_not_repeated(size, tokens, expected):
    row = tokens + [END] * (7 - len(tokens))
    other = [C] * len(tokens) + [END] * (7 - len(tokens))
    found = possible(Decoding(no_repeat=size), [[row, other], [other, row]], len(tokens))
    assert found[0][0] == found[1][1] == expected
    assert found[0][1] == found[1][0]
