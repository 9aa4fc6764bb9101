from collections import Counter

import pytest

from kbert.errors import UsageError
from kbert.tasks.text_task import Example
from kbert.training.data.folds import split_fold, split_part

EXAMPLES = [Example(str(number), None, "rare" if number % 5 == 0 else "often", number) for number in range(30)]


def test_folds_share_nothing_and_each_has_its_part_of_each_label():
    seen = []
    for number in range(3):
        train, held_out = split_fold(EXAMPLES, (number, 3), seed=7)
        assert Counter(example.target for example in held_out) == {"rare": 2, "often": 8}
        assert sorted([*train, *held_out], key=lambda example: example.line) == EXAMPLES
        assert [example.line for example in train] == sorted(example.line for example in train)
        seen += held_out
    assert sorted(seen, key=lambda example: example.line) == EXAMPLES


def test_another_seed_deals_otherwise_and_the_same_alike():
    assert split_fold(EXAMPLES, (0, 3), seed=1) == split_fold(EXAMPLES, (0, 3), seed=1)
    assert split_fold(EXAMPLES, (0, 3), seed=1) != split_fold(EXAMPLES, (0, 3), seed=2)


def test_the_seed_also_deals_examples_with_targets_of_their_own():
    examples = [Example(str(number), None, float(number), number) for number in range(30)]
    assert split_fold(examples, (0, 3), seed=1) != split_fold(examples, (0, 3), seed=2)
    assert len(split_fold(examples, (0, 3), seed=1)[1]) == 10


def test_what_belongs_together_is_not_parted():
    def number(example):
        return example // 3

    seen = []
    for fold in range(2):
        train, held_out = split_fold(range(13), (fold, 2), seed=0, group=number)
        assert not {number(example) for example in train} & {number(example) for example in held_out}
        seen += held_out
    assert sorted(seen) == list(range(13))
    train, held_out = split_part(range(300), 0.1, seed=0, group=number)
    assert len(held_out) == 30
    assert not {number(example) for example in train} & {number(example) for example in held_out}
    assert [len(part) for part in split_part(range(6), 0.1, seed=0, group=number)] == [3, 3]
    with pytest.raises(UsageError, match=r"the 6 training examples, which are 2 groups that belong together\. Rec"):
        split_fold(range(6), (0, 3), seed=0, group=number)


def test_a_single_group_is_parted_and_what_belongs_to_none_is_alone():
    assert [len(part) for part in split_part(range(10), 0.2, seed=0, group=lambda _: "all")] == [8, 2]
    assert [len(part) for part in split_part(range(10), 0.2, seed=0, group=lambda _: None)] == [8, 2]


def test_examples_without_a_target():
    assert [len(split_fold(range(8), (number, 3), seed=0)[1]) for number in range(3)] == [3, 3, 2]


def test_a_part_has_its_share_of_each_label():
    train, held_out = split_part(EXAMPLES, 1 / 3, seed=7)
    assert Counter(example.target for example in held_out) == {"rare": 2, "often": 8}
    assert sorted([*train, *held_out], key=lambda example: example.line) == EXAMPLES
    assert len(split_part(EXAMPLES, 0.05, seed=7)[1]) == 2
    assert split_part(EXAMPLES, 0.2, seed=1) != split_part(EXAMPLES, 0.2, seed=2)
    with pytest.raises(UsageError, match=r"must leave examples on both sides\. Received: 0\.01 of 30 examples"):
        split_part(EXAMPLES, 0.01, seed=0)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        ((0, 1), r"^folds must be from 2 to the 30 training examples\. Received: folds=1$"),
        ((0, 31), r"^folds must be from 2 to the 30 training examples\. Received: folds=31$"),
        ((3, 3), r"^the fold must be from 0 to 2\. Received: 3$"),
    ],
)
def test_folds_that_cannot_be(fold, message):
    with pytest.raises(UsageError, match=message):
        split_fold(EXAMPLES, fold, seed=0)
