import itertools
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from kbert.tasks.protocol.training_rows import Ragged, TrainingRows, encode_texts
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.data.batches import LengthBucketedBatches


@pytest.fixture(scope="module")
def encode(vocabulary):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), 30)


@pytest.fixture(scope="module")
def encoded(encode):
    """96 texts of 1 to 24 words, four of each length."""
    return encoded_texts(encode, ["cat " * (1 + index % 24) for index in range(96)])


def encoded_texts(encode, *texts):
    ids, types = encode_texts(encode, *texts)
    return TrainingRows(ids, types, {"number": np.arange(len(ids), dtype=np.int32)})


def make(rows, *, steps=1, batch_size=8, seed=0):
    return LengthBucketedBatches(rows, batch_size=batch_size, steps=steps, sequence_length=30, seed=seed)


def same(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


# === Encoded texts ===


def test_texts_are_encoded_as_the_served_model_encodes_them(encode):
    texts = ["the cat sat", "", "unaffable dogs !", "mat " * 50]
    pairs = ["a dog", "ran", "", "fast " * 50]
    for inputs in ((texts,), (texts, pairs)):
        batch = make(encoded_texts(encode, *inputs)).batch(np.arange(4))
        expected = encode(*map(tf.constant, inputs))
        for name, values in expected.items():
            np.testing.assert_array_equal(batch[name], values)
            assert batch[name].dtype == np.int32


def test_many_texts_are_encoded_in_parts(encode):
    words = ["cat", "dog", "mat"]
    encoded = encoded_texts(encode, [words[index % 3] for index in range(5000)])
    assert len(encoded) == 5000
    ids = make(encoded).batch(np.array([0, 4096, 4999]))["input_word_ids"]
    assert ids[:, :3].tolist() == [[2, 7, 3], [2, 8, 3], [2, 8, 3]]


def test_padding_goes_to_a_multiple_of_eight_but_not_past_the_longest(encode):
    encoded = make(encoded_texts(encode, ["cat " * words for words in (1, 6, 7, 14, 23, 60)]))
    widths = [encoded.batch(np.array([row]))["input_mask"].shape[1] for row in range(6)]
    assert widths == [8, 8, 16, 16, 30, 30]
    batch = encoded.batch(np.array([0, 2]))
    assert batch["input_word_ids"].tolist() == [[2, 7, 3] + [0] * 13, [2] + [7] * 7 + [3] + [0] * 7]
    assert batch["input_mask"].tolist() == [[1] * 3 + [0] * 13, [1] * 9 + [0] * 7]


# === Batches ===


def test_each_example_comes_once_an_epoch(encoded):
    batches = make(encoded, steps=36)  # three epochs of 12 batches
    seen = [batch["number"] for batch in batches.batches()]
    assert [len(numbers) for numbers in seen] == [8] * 36
    epochs = [np.concatenate(seen[first : first + 12]) for first in (0, 12, 24)]
    for numbers in epochs:
        assert sorted(numbers.tolist()) == list(range(96))
    assert not np.array_equal(epochs[0], epochs[1])


def test_an_epoch_that_is_no_multiple_of_a_batch_goes_on_in_the_next(encoded):
    seen = [batch["number"] for batch in make(encoded, steps=28, batch_size=7).batches()]
    # 96 = 13 * 7 + 5, so two examples of the next epoch fill 14 batches.
    first = Counter(np.concatenate(seen[:14]).tolist())
    assert len(first) == 96
    assert first.total() == 98
    both = Counter(np.concatenate(seen).tolist())
    assert both.total() == 196
    assert set(both.values()) == {2, 3}
    # Sorting by length does not bring the epochs together.
    assert sum(7 - len(set(numbers)) for numbers in seen) <= 2 + 4


def test_fewer_texts_than_a_batch(encode):
    encoded = encoded_texts(encode, ["cat", "dog", "mat"])
    (first, second) = make(encoded, steps=2, batch_size=8).batches()
    counts = Counter(np.concatenate([first["number"], second["number"]]).tolist())
    assert sorted(counts.values()) == [5, 5, 6]


@pytest.mark.parametrize("start", [1, 11, 12, 63, 64, 65, 129, 150])
def test_the_batch_of_a_step_does_not_depend_on_where_reading_starts(encoded, start):
    batches = make(encoded, steps=150)
    expected = list(itertools.islice(batches.batches(), start, None))
    started = list(batches.batches(start))
    assert len(started) == len(expected) == 150 - start
    assert all(same(first, second) for first, second in zip(started, expected, strict=True))


def test_the_order_depends_on_the_seed_alone(encoded):
    first, again, other = (
        [batch["number"].tolist() for batch in make(encoded, steps=12, seed=seed).batches()] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_there_is_little_padding_and_no_order_of_lengths(encoded):
    batches = list(make(encoded, steps=12).batches())
    tokens = sum(batch["input_mask"].sum() for batch in batches)
    places = sum(batch["input_mask"].size for batch in batches)
    # Of 8-token steps of width alone; unsorted batches would be near 0.5.
    assert tokens / places > 0.8
    widths = [batch["input_mask"].shape[1] for batch in batches]
    assert set(widths) == {8, 16, 24, 30}
    assert widths not in (sorted(widths), sorted(widths, reverse=True))


def test_targets_stay_with_their_texts(encoded):
    for batch in make(encoded, steps=12).batches():
        lengths = batch["input_mask"].sum(-1)
        assert lengths.tolist() == (batch["number"] % 24 + 3).tolist()


def test_batches_are_what_the_spec_says(encoded):
    batches = make(encoded, steps=3)
    assert batches.element_spec == {
        "input_word_ids": tf.TensorSpec([8, None], "int32"),
        "input_mask": tf.TensorSpec([8, None], "int32"),
        "input_type_ids": tf.TensorSpec([8, None], "int32"),
        "number": tf.TensorSpec([8], "int32"),
    }
    for batch in batches.batches():
        assert batch.keys() == batches.element_spec.keys()
        for name, spec in batches.element_spec.items():
            assert spec.is_compatible_with(tf.constant(batch[name]))


# === Ragged targets, and groups of rows ===


def rows_of(*lengths):
    """Rows of ids 1, 2, 3 ..."""
    flat = np.concatenate([np.arange(1, length + 1) for length in lengths]).astype(np.int32)
    lengths = np.array(lengths)
    return Ragged(flat, lengths), Ragged(flat * 0, lengths)


def test_targets_of_tokens_are_padded_as_the_tokens_are():
    ids, types = rows_of(3, 10, 2)
    labels = Ragged(ids.values * 10, ids.lengths, padding=-1, by_token=True)
    places = Ragged.of([[1], [2, 7], []], np.int32, padding=-5)
    batches = make(TrainingRows(ids, types, {"labels": labels, "places": places}), batch_size=2)
    batch = batches.batch(np.array([0, 1]))
    assert batch["labels"].tolist() == [
        [10, 20, 30] + [-1] * 13,
        [10, 20, 30, 40, 50, 60, 70, 80, 90, 100] + [-1] * 6,
    ]
    assert batch["places"].tolist() == [[1, -5], [2, 7]]
    assert batches.batch(np.array([2, 2]))["places"].tolist() == [[-5], [-5]]
    for name, spec in batches.element_spec.items():
        assert spec.is_compatible_with(tf.constant(batch[name]))


def test_groups_of_rows_stay_together():
    ids, types = rows_of(3, 4, 2, 9, 1)
    rows = TrainingRows(ids, types, {"best": np.array([1, 2], np.int32)}, group_sizes=np.array([2, 3]))
    batches = make(rows, batch_size=2)
    batch = batches.batch(np.array([0, 1]))
    assert batch["input_word_ids"].shape == (2, 3, 16)
    assert batch["input_mask"].sum(-1).tolist() == [[3, 4, 0], [2, 9, 1]]
    assert batch["input_word_ids"][0, 1].tolist() == [1, 2, 3, 4] + [0] * 12
    assert batch["best"].tolist() == [1, 2]
    assert batches.batch(np.array([0]))["input_mask"].sum(-1).tolist() == [[3, 4]]
    (only,) = batches.batches()
    for name, spec in batches.element_spec.items():
        assert spec.is_compatible_with(tf.constant(only[name]))


def test_groups_of_like_length_come_together():
    sizes = [1 + index % 3 for index in range(96)]
    lengths = [3 + index % 24 for index, size in enumerate(sizes) for _ in range(size)]
    ids, types = rows_of(*lengths)
    rows = TrainingRows(ids, types, {"number": np.arange(96, dtype=np.int32)}, group_sizes=np.array(sizes))
    seen = list(make(rows, steps=12).batches())
    assert sorted(np.concatenate([batch["number"] for batch in seen]).tolist()) == list(range(96))
    for batch in seen:
        assert (batch["input_mask"].max(-1).sum(-1) == 1 + batch["number"] % 3).all()
        assert np.ptp(batch["number"] % 24) <= 3
