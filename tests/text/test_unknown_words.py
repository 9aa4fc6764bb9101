import doctest
from collections import Counter

import kbert.text.unknown_words
from kbert.text.tokenizer import Tokenizer
from kbert.text.unknown_words import describe_unknown, long_words, unknown_words


def test_the_examples_in_the_docstrings():
    found = doctest.testmod(kbert.text.unknown_words)
    assert (found.attempted, found.failed) == (2, 0)


def test_words_that_become_unknown(vocabulary):
    tokenizer = Tokenizer(vocabulary, max_word_length=8)
    texts = ["The cat，the Zebra, 猫！", "cats zebra unaffabless，", "aaaaaaaaa"]
    # "cats" and "the" have pieces; the last word is too long for any vocabulary.
    assert unknown_words(texts, tokenizer) == Counter({"，": 2, "zebra": 2, "猫": 1, "！": 1})
    assert long_words(texts, tokenizer) == (2, "unaffabless")
    assert long_words(["a b c d e f g"], tokenizer) == (0, None)


def test_only_the_beginning_of_much_text_is_examined(vocabulary):
    tokenizer = Tokenizer(vocabulary)
    assert unknown_words(["x " * (1 << 17), "y"], tokenizer) == {"x": 1 << 17}


def test_rare_words_are_not_named():
    counts = Counter({"，": 994, "x" * 30: 12, **{f"rare{number}": 1 for number in range(9)}})
    assert describe_unknown(0.5, counts, ["x", "rare1"]) == (
        "50.0% of the tokens are [UNK], most often for '，' (98% of them), 'xxxxxxxxxxxxxxxxxxxx…' (1%)"
    )
    assert describe_unknown(0.02, Counter(), []) == "2.0% of the tokens are [UNK]"
