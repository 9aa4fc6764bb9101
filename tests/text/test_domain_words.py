from kbert.text.domain_words import domain_words
from kbert.text.vocabulary import Vocabulary
from kbert.text.wordpiece import WordPiece


def chosen(counts, vocabulary, limit=10, minimum_frequency=1):
    return domain_words(counts, WordPiece(vocabulary), limit=limit, minimum_frequency=minimum_frequency)


def test_what_saves_most_comes_first(vocabulary):
    # cats: 2 pieces; unaffable: 3; cat: 1.
    assert chosen({"cat": 100, "cats": 5, "unaffable": 3, "mats": 5}, vocabulary) == ["unaffable", "cats", "mats"]


def test_a_limit_and_a_least_frequency(vocabulary):
    counts = {"cats": 5, "unaffable": 3, "mats": 9}
    assert chosen(counts, vocabulary, limit=1) == ["mats"]
    assert chosen(counts, vocabulary, minimum_frequency=4) == ["mats", "cats"]


def test_words_that_cannot_be_spelled(vocabulary):
    assert chosen({"zebra": 3, "cats": 2}, vocabulary) == ["zebra", "cats"]
    assert chosen({"z" * 201: 3}, vocabulary) == []


def test_a_word_with_an_entry_stays_out(vocabulary):
    assert chosen({"cats": 3}, Vocabulary([*vocabulary, "cats"])) == []
