import math

import pytest

from kbert.tasks.metrics.bleu import bleu, bleu_words


@pytest.mark.parametrize(
    ("references", "text", "expected"),
    [
        (["a b c d e"], "a b c d e", 100.0),
        (["a b c d e"], "a b c d f", 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25),
        (["a b c d"], "a b x y", 100 * (2 / 4 * 1 / 3 * 1 / (2 * 2) * 1 / (4 * 1)) ** 0.25),  # smoothed
        (["a b c d e f"], "a b c d", 100 * math.exp(1 - 6 / 4)),  # too short
        (["a b c d e f", "a b c d"], "a b c d", 100.0),  # the nearest length counts
        (["a b x y z", "c d e"], "a b c d e", 100 * (5 / 5 * 3 / 4 * 1 / 3 * 1 / (2 * 2)) ** 0.25),
        (["a b c d"], "A B C D", 0.0),
        (["a b c d"], "a b c", 0.0),  # has no four words
        (["a"], "", 0.0),
    ],
)
def test_one_text(references, text, expected):
    assert bleu([references], [text]) == pytest.approx(expected)


def test_counts_of_a_corpus_are_added():
    assert bleu([["a b c d"], ["e f g h"]], ["a b c d", "e f g x"]) == pytest.approx(
        100 * (7 / 8 * 5 / 6 * 3 / 4 * 1 / 2) ** 0.25
    )
    assert bleu([["a b c d"]], ["A B C D"], lowercase=True) == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world.", "Hello , world ."),
        ("3.5 and 10,000; U.S.-based (2-3)", "3.5 and 10,000 ; U . S . -based ( 2 - 3 )"),
        ("say &quot;yes&quot; &amp; go", 'say " yes " & go'),
        ("don't well-known 2020-21", "don't well-known 2020 - 21"),
        ("中文,ab", "中文 , ab"),
    ],
)
def test_words_of_13a(text, words):
    assert bleu_words(text, "13a") == words.split()


def test_words_of_zh():
    assert bleu_words("用BERT写中文,好吗？“是”", "zh") == [*"用", "BERT", *"写中文,好吗？“是”"]
