from collections import Counter

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from kbert.corpus.reading.packing import plan_packing
from kbert.errors import RecordError, UsageError


def histogram(lengths):
    return np.bincount(lengths, minlength=1)


def test_longest_first_each_into_the_fullest_row_with_room():
    plan = plan_packing(histogram([7, 5, 4, 3, 3, 2, 1, 1]), 8)
    assert Counter(dict(plan.packs)) == Counter({(7, 1): 1, (5, 3): 1, (4, 3, 1): 1, (2,): 1})
    assert (plan.rows, plan.tokens, plan.most_examples) == (4, 26, 3)


def test_equal_lengths_are_packed_many_at_once():
    plan = plan_packing(histogram([4] * 1001 + [2] * 2), 10)
    assert dict(plan.packs) == {(4, 4, 2): 2, (4, 4): 498, (4,): 1}


def test_most_examples_in_a_row():
    assert dict(plan_packing(histogram([1] * 10), 8, max_examples=3).packs) == {(1, 1, 1): 3, (1,): 1}
    assert dict(plan_packing(histogram([3, 1, 1]), 8, max_examples=2).packs) == {(3, 1): 1, (1,): 1}
    # By default, four times as many as fill a row on average.
    assert plan_packing(histogram([100] * 1000 + [2] * 5000), 512).most_examples == 112
    assert plan_packing(histogram([2] * 5000), 512).most_examples == 256


def test_most_predictions_in_a_row():
    plan = plan_packing(histogram([7, 5, 3, 1]), 8)
    assert plan.most_predictions(lambda length: 1) == 2
    assert plan.most_predictions(lambda length: length * length) == 50


@hypothesis.given(st.lists(st.integers(1, 40), max_size=200), st.integers(40, 90), st.integers(0, 3))
def test_each_example_stands_in_one_row(lengths, row_length, seed):
    lengths = np.array(lengths, np.int64)
    plan = plan_packing(histogram(lengths), row_length)
    assert plan.tokens == lengths.sum()
    rows = plan.assign(lengths, np.random.default_rng(seed))
    assert rows.shape == (plan.rows, plan.most_examples)
    assert sorted(rows[rows >= 0].tolist()) == list(range(len(lengths)))
    for row in rows:
        assert 0 < lengths[row[row >= 0]].sum() <= row_length
        assert (row[: (row >= 0).sum()] >= 0).all()


def test_rows_depend_on_the_histogram_and_companions_on_the_generator():
    lengths = np.repeat([30, 20, 10], [50, 60, 70])
    shuffled = np.random.default_rng(0).permutation(lengths)
    plan = plan_packing(histogram(lengths), 64)
    assert plan == plan_packing(histogram(shuffled), 64)
    one, again, other = (plan.assign(shuffled, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    by_length = [np.where(rows >= 0, shuffled[rows], 0).tolist() for rows in (one, other)]
    assert by_length[0] == by_length[1]


def test_places_of_lost_examples_stay_empty():
    lengths = np.array([5, 5, 3, 3, 3])
    plan = plan_packing(histogram(lengths), 8)
    rows = plan.assign(lengths[[0, 2, 3]], np.random.default_rng(0))
    assert rows.shape == (3, 2)
    assert sorted(rows[rows >= 0].tolist()) == [0, 1, 2]
    assert plan.assign(lengths[:0], np.random.default_rng(0)).tolist() == [[-1, -1]] * 3
    for unknown in ([5, 5, 5], [4], [600]):
        with pytest.raises(RecordError, match="The records have changed"):
            plan.assign(np.array(unknown), np.random.default_rng(0))


def test_an_example_longer_than_a_row_is_refused():
    with pytest.raises(UsageError, match=r"at least the longest example, 9 tokens\. Received: 8"):
        plan_packing(histogram([9, 2]), 8)


def test_nothing_to_pack():
    plan = plan_packing([0], 8)
    assert (plan.rows, plan.tokens, plan.most_examples) == (0, 0, 0)


@pytest.mark.parametrize("sequence_length", [128, 512])
def test_wikipedia_fills_rows(tmp_path, data, sequence_length):
    """At 512, at least 98 % of the places hold tokens."""
    from kbert.corpus.building.build import build_corpus
    from kbert.corpus.reading.pipeline import PretrainingBatches

    with open(data / "corpus" / "en_wikipedia.txt", "rb") as handle:
        (tmp_path / "text.txt").write_text(handle.read(3_000_000).decode(errors="ignore"), encoding="utf-8")
    vocab = data / "vocab" / "bert-base-uncased.txt"
    build_corpus([tmp_path / "text.txt"], vocab=vocab, output=tmp_path / "corpus", sequence_length=sequence_length)
    batches = PretrainingBatches(tmp_path / "corpus", batch_size=4, pack_to=512)
    assert batches.fill_rate > 0.98
    assert f"fill rate {batches.fill_rate:.2%}" in batches.describe()[0]
    batch = next(batches.batches())
    assert batch["input_mask"].mean() > 0.95
