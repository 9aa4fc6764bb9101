import numpy as np
import pytest
import tensorflow as tf

from kbert.prediction.explanation.words import graph_words
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def words_of(vocabulary):
    tokenizer = Tokenizer(vocabulary)

    def find(*texts, prompt="", length=12):
        encode = GraphEncoder(tokenizer.to_graph(), length)
        plain = [tf.constant(each) for each in texts]
        prompted = [tf.strings.join([prompt, each]) for each in plain]
        found = graph_words(encode, encode(*prompted), plain, prompted)
        return found, [
            [
                (int(text), surface.decode(), int(start), int(end))
                for text, surface, start, end in zip(*row, strict=True)
            ][:count]
            for count, *row in zip(
                found.count.numpy(),
                found.texts.numpy(),
                found.surfaces.numpy(),
                found.starts.numpy(),
                found.ends.numpy(),
                strict=True,
            )
        ]

    return find


def test_words_have_their_pieces_and_their_places(words_of):
    found, words = words_of(["The unaffable  cats!", "", "a"])
    assert words == [
        [(0, "The", 0, 3), (0, "unaffable", 4, 13), (0, "cats", 15, 19), (0, "!", 19, 20)],
        [],
        [(0, "a", 0, 1)],
    ]
    assert found.of_tokens.numpy()[0].tolist() == [-1, 0, 1, 1, 1, 2, 2, 3, -1]
    assert found.of_tokens.numpy()[1].tolist() == [-1] * 9


def test_words_of_pairs(words_of):
    _, words = words_of(["the cat", "a"], ["dogs ran", "the mat"])
    assert words == [
        [(0, "the", 0, 3), (0, "cat", 4, 7), (1, "dogs", 0, 4), (1, "ran", 5, 8)],
        [(0, "a", 0, 1), (1, "the", 0, 3), (1, "mat", 4, 7)],
    ]


def test_words_that_were_cut_are_left_out(words_of):
    _, words = words_of(["the cat sat on the mat"], length=5)
    assert [word[1] for word in words[0]] == ["the", "cat", "sat"]


def test_a_prompt_is_no_word(words_of):
    found, words = words_of(["cat 👍 ran", "the"], prompt="the dog ")
    assert words == [[(0, "cat", 0, 3), (0, "👍", 4, 5), (0, "ran", 6, 9)], [(0, "the", 0, 3)]]
    assert found.of_tokens.numpy()[1].tolist() == [-1, -1, -1, 0, -1, -1, -1]


def test_a_batch_without_words(words_of):
    found, words = words_of(["", " "])
    assert words == [[], []]
    assert np.asarray(found.count).tolist() == [0, 0]
