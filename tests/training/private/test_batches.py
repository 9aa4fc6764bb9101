import numpy as np
import pytest

from kbert.tasks.protocol.training_rows import Ragged, TrainingRows
from kbert.training.private.batches import PoissonBatches


def rows(count=200, groups=None):
    lengths = np.arange(count) % 7 + 2
    numbers = Ragged(np.repeat(np.arange(count), lengths), lengths)  # each token is the number of its row
    items = count if groups is None else len(groups)
    return TrainingRows(numbers, Ragged(numbers.values * 0, lengths), {"labels": np.arange(items)}, groups)


def source(expected=40, seed=0, count=200, **settings):
    draws = None if seed is None else np.random.default_rng(seed)
    arguments = {"batch_size": 16, "steps": 50, "sequence_length": 16, **settings}
    return PoissonBatches(rows(count), expected=expected, draws=draws, **arguments)


def steps(batches):
    """The items of each step, and the number of its batches."""
    found, items, parts = [], [], 0
    for batch in batches.batches():
        assert all(values.shape[0] == batches.batch_size for values in batch.values())
        counted = batch["counted"] > 0
        items += batch["labels"][counted].tolist()
        parts += 1
        assert not batch["input_mask"][~counted].any()
        if batch["step_end"].all():
            found.append((items, parts))
            items, parts = [], 0
        else:
            assert not batch["step_end"].any()
            assert counted.all()  # only the last batch of a step is filled
    assert not items
    return found


def test_every_drawn_row_is_in_the_step_once():
    for items, parts in steps(source()):
        assert len(set(items)) == len(items)
        assert parts == max(1, -(-len(items) // 16))


def test_rows_are_drawn_independently_with_the_same_probability():
    drawn = np.zeros((2000, 200))
    for step, (items, _) in enumerate(steps(source(steps=2000))):
        drawn[step, items] = 1
    assert drawn.mean() == pytest.approx(0.2, abs=0.003)
    assert np.abs(drawn.mean(0) - 0.2).max() < 0.04
    sizes = drawn.sum(1)
    assert sizes.std() == pytest.approx(np.sqrt(200 * 0.2 * 0.8), rel=0.1)  # a binomial distribution
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.1


def test_the_values_are_those_of_the_rows():
    for batch in source(steps=3).batches():
        for ids, mask, label in zip(batch["input_word_ids"], batch["input_mask"], batch["labels"], strict=True):
            if mask.any():
                assert ids[mask > 0].tolist() == [label] * (label % 7 + 2)


def test_an_empty_draw_is_a_step_with_an_empty_batch():
    found = steps(source(expected=1, count=40, steps=100))
    assert len(found) == 100
    assert ([], 1) in found


def test_groups_stay_together():
    groups = np.array([3, 1, 2, 4] * 20)
    batches = PoissonBatches(
        rows(200, groups), expected=20, batch_size=8, steps=5, sequence_length=16, draws=np.random.default_rng(0)
    )
    assert batches.element_spec["input_word_ids"].shape.as_list() == [8, None, None]
    for batch in batches.batches():
        there = batch["input_mask"].any(-1).sum(-1)
        assert (there == np.where(batch["counted"] > 0, groups[batch["labels"]], 0)).all()


def test_draws_are_secret():
    assert steps(source(seed=None)) != steps(source(seed=None))
    assert source().example_names(0) == []
    assert len(list(steps(source(steps=7)))) == 7
