import numpy as np
import pytest

from kbert.errors import DataError, UsageError
from kbert.tasks.text_task import Example
from kbert.training.data.word_replacement import (
    Synonyms,
    augmented,
    chosen_spans,
    read_synonyms,
    substituted,
    word_spans,
)

RNG = np.random.default_rng


def test_a_file_of_synonyms(tmp_path):
    path = tmp_path / "synonyms.txt"
    path.write_text("Good\tvery fine\tnice\n\nbad, poor\ncat feline kitty\ngood\tnice\n电影 影片\n", encoding="utf-8")
    assert read_synonyms(path) == {
        "good": ["very fine", "nice"],
        "bad": ["poor"],
        "cat": ["feline", "kitty"],
        "电影": ["影片"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good fine\nbad\n", r"s\.txt:2: expected a word and its synonyms\. Received 'bad'$"),
        (",\n", r"s\.txt:1: expected a word and its synonyms\. Received ','$"),
        ("\n", r"s\.txt: expected a word and its synonyms on each line\. The file is empty$"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, message):
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_synonyms(tmp_path / "s.txt")


def test_words_are_replaced_where_they_stand_alone():
    replace = Synonyms({"cat": ["feline"], "电影": ["影片"]}).replace
    texts = ["Cat, a category.", "the dog", "这个电影好", "the cat!"]
    assert replace(texts, RNG(0)) == ["Feline, a category.", "the dog", "这个影片好", "the feline!"]


def test_one_word_of_six_is_replaced_and_another_draw_takes_another():
    replace = Synonyms({"cat": ["feline"]}).replace
    outcomes = {replace(["cat cat cat cat cat cat"], RNG(seed))[0] for seed in range(20)}
    assert all(outcome.count("feline") == 1 for outcome in outcomes)
    assert len(outcomes) > 3


def test_copies_keep_their_targets_and_unchanged_ones_are_left_out():
    examples = [
        Example("a cat", "pet", "yes", 2),
        Example("a dog", "a cat", "no", 3),
        Example("a dog", "x", "no", 4),
    ]
    way = Synonyms({"cat": ["feline"]}).replace
    copies = [Example("a feline", "pet", "yes", 2), Example("a dog", "a feline", "no", 3)]
    assert augmented(examples, [way], copies=2) == examples + copies + copies
    assert augmented(examples, []) == examples


def test_what_cannot_be_augmented():
    way = Synonyms({"cat": ["feline"]}).replace
    with pytest.raises(UsageError, match=r"^augmentation is for tasks on texts and pairs of texts"):
        augmented([("the", "cat")], [way])
    with pytest.raises(UsageError, match=r"^augment_copies must be at least 1\. Received: augment_copies=0$"):
        augmented([], [way], copies=0)


def test_words_and_their_spans():
    assert word_spans("It's 好的.") == [(0, 2), (3, 4), (5, 6), (6, 7)]
    assert len(chosen_spans([(n, n + 1) for n in range(20)], RNG(0))) == 3
    assert chosen_spans([], RNG(0)) == []
    assert substituted("a b c", [(0, 1, "x"), (4, 5, "yz")]) == "x b yz"
