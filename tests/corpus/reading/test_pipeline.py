import itertools
import json
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from kbert.corpus.building import build
from kbert.corpus.building import shards as shards_
from kbert.corpus.reading import pipeline
from kbert.corpus.reading.open_source import open_source
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.corpus.records.manifest import Manifest
from kbert.errors import RecordError, UsageError


@pytest.fixture(params=["dynamic", "static"])
def shards(request, monkeypatch, tmp_path, vocab_file, corpus_text):
    """A corpus of several shards, more than are held at once."""
    monkeypatch.setattr(build, "_CHUNK_SIZE", 200)
    monkeypatch.setattr(shards_, "SHARD_EXAMPLES", 10)
    monkeypatch.setattr(pipeline, "_POOL_EXAMPLES", 25)
    folder = tmp_path / "shards"
    manifest = build.build_corpus(
        [corpus_text] * 3, vocab=vocab_file, output=folder, sequence_length=16, masking=request.param
    )
    assert len(manifest.shards) > 4
    return folder


def take(folder, count, start=0, **options):
    return list(itertools.islice(PretrainingBatches(folder, **options).batches(start), count))


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def rows(batches):
    """Each example as (ids without masks, type ids, label)."""
    for batch in batches:
        ids = batch["input_word_ids"].copy()
        row, place = np.nonzero(batch["masked_lm_weights"])
        ids[row, batch["masked_lm_positions"][row, place]] = batch["masked_lm_ids"][row, place]
        yield from zip(
            map(tuple, ids.tolist()),
            map(tuple, batch["input_type_ids"].tolist()),
            batch["next_sentence_labels"].tolist(),
            strict=True,
        )


def stored(folder):
    """The same of all records, as TensorFlow reads them."""
    for shard in Manifest.load(folder).shards:
        for record in tf.data.TFRecordDataset(str(folder / shard.file), "GZIP"):
            feature = tf.train.Example.FromString(record.numpy()).features.feature

            def values(name, feature=feature):
                return list(feature[name].int64_list.value)

            ids = values("input_word_ids")
            for place, index in zip(values("masked_lm_positions"), values("masked_lm_ids"), strict=True):
                ids[place] = index if place else ids[place]
            yield (
                tuple(ids + [0] * (16 - len(ids))),
                tuple(values("input_type_ids") + [0] * (16 - len(ids))),
                values("next_sentence_labels")[0],
            )


@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_a_batch_does_not_depend_on_where_reading_began(shards, batch_size):
    """Over more than two epochs, batches across shards and epochs among them."""
    steps = 2 * Manifest.load(shards).examples // batch_size + 3
    whole = take(shards, steps, batch_size=batch_size, seed=3)
    batches = PretrainingBatches(shards, batch_size=batch_size, seed=3)
    for step in range(0, steps, 1 + steps // 15):
        assert_equal(next(batches.batches(step)), whole[step])
    for one, other in zip(take(shards, steps - 2, 2, batch_size=batch_size, seed=3), whole[2:], strict=True):
        assert_equal(one, other)


def test_each_epoch_has_all_examples_once(shards):
    count = Manifest.load(shards).examples
    expected = Counter(stored(shards))
    seen = list(rows(take(shards, 3 * count // 4 + 1, batch_size=4)))
    epochs = [seen[i * count : (i + 1) * count] for i in range(3)]
    assert [Counter(epoch) for epoch in epochs] == [expected] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != list(stored(shards))


def test_each_epoch_of_a_single_shard_has_an_order_of_its_own(corpus):
    first, second = (list(rows([batch])) for batch in take(corpus, 2, batch_size=27))
    assert first != second
    assert sorted(first) == sorted(second)


def test_seed(shards):
    one, again, other = (take(shards, 5, batch_size=4, seed=seed) for seed in (1, 1, 2))
    for batch, same in zip(one, again, strict=True):
        assert_equal(batch, same)
    assert list(rows(one)) != list(rows(other))


def test_element_spec_is_true(shards):
    batches = PretrainingBatches(shards, batch_size=4)
    spec = batches.element_spec
    for batch in itertools.islice(batches.batches(), 20):
        assert {name: (array.shape, array.dtype.name) for name, array in batch.items()} == {
            name: (tuple(tensor.shape), tensor.dtype.name) for name, tensor in spec.items()
        }
    assert {name: tuple(tensor.shape) for name, tensor in spec.items()} == {
        "input_word_ids": (4, 16),
        "input_mask": (4, 16),
        "input_type_ids": (4, 16),
        "masked_lm_positions": (4, 3),
        "masked_lm_ids": (4, 3),
        "masked_lm_weights": (4, 3),
        "next_sentence_labels": (4,),
    }


def test_mask_marks_tokens(shards):
    for batch in take(shards, 10, batch_size=4):
        length = batch["input_mask"].sum(1)
        np.testing.assert_array_equal(batch["input_mask"], np.arange(16) < length[:, None])
        for row, count in zip(batch["input_word_ids"], length, strict=True):
            assert not row[count:].any()
            assert row[count - 1] == 3
        # 15 % of the tokens; what is left of a whole number is drawn.
        counts = batch["masked_lm_weights"].sum(1)
        assert (counts >= np.clip(np.floor(length * 0.15), 1, 3)).all()
        assert (counts <= np.clip(np.ceil(length * 0.15), 1, 3)).all()


def masks_of_epochs(folder, epochs):
    """For each epoch {example: its masked positions}, of the examples that occur once."""
    count = Manifest.load(folder).examples
    once = {row for row, number in Counter(stored(folder)).items() if number == 1}
    batches = take(folder, epochs * count, batch_size=1)
    result = [{} for _ in range(epochs)]
    for step, (batch, row) in enumerate(zip(batches, rows(batches), strict=True)):
        if row in once:
            masks = tuple(batch["input_word_ids"][0]), tuple(batch["masked_lm_positions"][0])
            result[step // count][row] = masks
    return result


def test_masks_between_epochs(shards):
    """Dynamic masks are drawn anew, static ones are those of the records."""
    first, second = masks_of_epochs(shards, 2)
    assert first.keys() == second.keys()
    same = sum(first[row] == second[row] for row in first)
    if Manifest.load(shards).masking == "static":
        assert same == len(first) > 0
    else:
        assert same < len(first) / 2


def test_static_is_read_as_stored(tmp_path, vocab_file, corpus_text):
    folder = tmp_path / "static"
    build.build_corpus([corpus_text], vocab=vocab_file, output=folder, sequence_length=16, masking="static")
    (shard,) = Manifest.load(folder).shards
    expected = Counter()
    for record in tf.data.TFRecordDataset(str(folder / shard.file), "GZIP"):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        expected[
            tuple((n, *(features[n].int64_list.value or features[n].float_list.value)) for n in sorted(features))
        ] += 1
    batches = take(folder, shard.examples, batch_size=1)
    assert Counter(tuple((n, *b[n].ravel().tolist()) for n in sorted(b)) for b in batches) == expected


def read_all(folder):
    return list(rows(take(folder, Manifest.load(folder).examples, batch_size=1)))


@pytest.mark.parametrize("part", [0, 0.3, 0.9])
def test_a_truncated_shard_is_named(corpus, part):
    path = corpus / "examples-00000.tfrecord.gz"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(RecordError, match=r"examples-00000\.tfrecord\.gz: .*build (it|the corpus) again"):
        read_all(corpus)


def test_a_shard_truncated_between_members_is_named(shards):
    """The rest is whole records; only their number is wrong."""
    shard = Manifest.load(shards).shards[0]
    data = (shards / shard.file).read_bytes()
    (shards / shard.file).write_bytes(data[: data.index(b"\x1f\x8b\x08", 1)])
    with pytest.raises(RecordError, match=rf"{shard.file}: .*the file ends too early; \d+ of its {shard.examples} "):
        read_all(shards)


def test_a_flipped_bit_is_found(corpus):
    """In whichever byte: reading says so, naming the shard, or the bit means nothing and the examples are right."""
    path = corpus / "examples-00000.tfrecord.gz"
    data = path.read_bytes()
    expected, found = read_all(corpus), 0
    places = [*range(12), *range(12, len(data), 1 + len(data) // 30), *range(len(data) - 8, len(data))]
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        try:
            assert read_all(corpus) == expected, place
        except RecordError as error:
            assert error.path == str(path)  # noqa: PT017 (most places raise, some must not)
            found += 1
    assert found >= 30


def test_another_shard_of_the_same_name_is_found(corpus, tmp_path, vocab_file, corpus_text):
    other = tmp_path / "other"
    build.build_corpus([corpus_text], vocab=vocab_file, output=other, sequence_length=16, duplicates=2)
    (corpus / "examples-00000.tfrecord.gz").write_bytes((other / "examples-00000.tfrecord.gz").read_bytes())
    with pytest.raises(
        RecordError, match=r"expected 27 examples with the SHA-256 of the manifest\. Received 55 intact examples with "
    ):
        read_all(corpus)


def test_a_missing_shard_is_named_at_once(corpus):
    (corpus / "examples-00000.tfrecord.gz").unlink()
    with pytest.raises(RecordError, match=r"examples-00000\.tfrecord\.gz: expected a shard that the manifest names"):
        PretrainingBatches(corpus, batch_size=1)


def test_an_unfinished_corpus_is_none(corpus, tmp_path):
    (corpus / "manifest.json").unlink()
    for folder in (corpus, tmp_path / "absent"):
        with pytest.raises(RecordError, match="expected a corpus made by `kbert corpus build`"):
            PretrainingBatches(folder, batch_size=1)


def test_a_batch_larger_than_the_corpus(corpus):
    assert len(take(corpus, 2, batch_size=27)) == 2
    with pytest.raises(UsageError, match=r"at most the corpus's 27 examples. Received: 28"):
        PretrainingBatches(corpus, batch_size=28)


def test_mask_settings_are_those_of_the_corpus(corpus):
    manifest = json.loads((corpus / "manifest.json").read_text())
    manifest["settings"]["masking"]["probability"] = 0.99
    (corpus / "manifest.json").write_text(json.dumps(manifest))
    (batch,) = take(corpus, 1, batch_size=27)
    assert (batch["masked_lm_weights"] == 1).all()


def test_another_vocabulary_is_refused(corpus):
    path = corpus / "vocab.txt"
    path.write_text(path.read_text().replace("cat\ndog", "dog\ncat"))
    with pytest.raises(RecordError, match=r"vocab\.txt: expected the vocabulary that the corpus was built with"):
        PretrainingBatches(corpus, batch_size=4)


# === Masks ===


def masked_rows(batches):
    """Each example as (masked ids, predictions), whether rows are packed or not."""
    for batch in batches:
        for row in range(len(batch["input_mask"])):
            used = batch["input_mask"][row] > 0
            owners = batch.get("input_example_ids", batch["input_mask"])[row]
            weights = batch["masked_lm_weights"][row] > 0
            positions = batch["masked_lm_positions"][row][weights]
            labels = batch["next_sentence_labels"][row]
            for owner in range(1, 1 + owners.max()):
                places = np.flatnonzero(used & (owners == owner))
                own = owners[positions] == owner
                yield (
                    tuple(batch["input_word_ids"][row][places].tolist()),
                    tuple(batch["input_type_ids"][row][places].tolist()),
                    tuple((positions[own] - places[0]).tolist()),
                    tuple(batch["masked_lm_ids"][row][weights][own].tolist()),
                    int(np.atleast_1d(labels)[owner - 1]),
                )


def test_masks_do_not_depend_on_batches(shards):
    """They are a function of the seed, the epoch and the example."""
    count = Manifest.load(shards).examples
    one = Counter(masked_rows(take(shards, count, batch_size=1, seed=4)))
    assert one == Counter(masked_rows(take(shards, count // 4, batch_size=4, seed=4))) + Counter(
        itertools.islice(masked_rows(take(shards, 1 + count // 4, batch_size=4, seed=4)), count // 4 * 4, count)
    )


# === Packing ===


def packed(folder, batch_size=2, pack_to=48, **options):
    return PretrainingBatches(folder, batch_size=batch_size, pack_to=pack_to, **options)


def test_packed_rows_hold_the_same_examples_with_the_same_masks(shards):
    count = Manifest.load(shards).examples
    batches = packed(shards, 1, seed=2)
    assert batches.rows < count / 2
    rows_ = list(itertools.islice(batches.batches(), 2 * batches.rows))
    for epoch in range(2):
        plain = list(masked_rows(take(shards, count, epoch * count, batch_size=1, seed=2)))
        assert Counter(masked_rows(rows_[epoch * batches.rows : (epoch + 1) * batches.rows])) == Counter(plain)
    tokens = sum(batch["input_mask"].sum() for batch in rows_)
    assert batches.fill_rate == tokens / (2 * batches.rows * 48)
    first, second = ([tuple(b["input_mask"].sum(1)) for b in rows_[i * batches.rows :][:5]] for i in range(2))
    assert first != second


def test_a_packed_batch_does_not_depend_on_where_reading_began(shards):
    batches = packed(shards, 3, seed=3)
    steps = 2 * batches.rows // 3 + 3
    whole = list(itertools.islice(packed(shards, 3, seed=3).batches(), steps))
    for step in range(0, steps, 1 + steps // 15):
        assert_equal(next(batches.batches(step)), whole[step])


def test_what_a_packed_row_says(shards):
    batches = packed(shards, 2)
    spec = batches.element_spec
    most = batches.layout.examples
    for batch in itertools.islice(batches.batches(), 10):
        assert {name: (array.shape, array.dtype.name) for name, array in batch.items()} == {
            name: (tuple(tensor.shape), tensor.dtype.name) for name, tensor in spec.items()
        }
        for row in range(2):
            owners = batch["input_example_ids"][row]
            np.testing.assert_array_equal(owners > 0, batch["input_mask"][row] > 0)
            count = int(owners.max())
            assert batch["next_sentence_weights"][row].tolist() == [1.0] * count + [0.0] * (most - count)
            for owner in range(1, count + 1):
                places = np.flatnonzero(owners == owner)
                assert batch["next_sentence_positions"][row][owner - 1] == places[0]
                assert places.tolist() == list(range(places[0], places[-1] + 1))
                assert batch["input_positions"][row][places].tolist() == list(range(len(places)))
                ids = batch["input_word_ids"][row]
                assert (ids[places[0]], ids[places[-1]]) == (2, 3)
            weights = batch["masked_lm_weights"][row]
            used = int(weights.sum())
            assert weights.tolist() == [1.0] * used + [0.0] * (len(weights) - used)
            assert (owners[batch["masked_lm_positions"][row][:used]] > 0).all()


def test_lengths_need_not_be_in_the_manifest(shards):
    """Corpora of before have none: then all records are read first."""
    expected = next(packed(shards).batches())
    manifest = json.loads((shards / "manifest.json").read_text())
    for shard in manifest["shards"]:
        assert shard.pop("lengths")
    (shards / "manifest.json").write_text(json.dumps(manifest))
    for name, array in next(packed(shards).batches()).items():
        width = min(array.shape[-1], expected[name].shape[-1])  # static masks: the predictions are known exactly
        np.testing.assert_array_equal(array[..., :width], expected[name][..., :width])


def test_names_of_the_examples_of_a_step(shards):
    for batches in (PretrainingBatches(shards, batch_size=5, seed=1), packed(shards, 5, seed=1)):
        manifest = Manifest.load(shards)
        names = [name for step in range(batches.rows // 5) for name in batches.example_names(step)]
        known = {f"{shard.file}#{index}" for shard in manifest.shards for index in range(shard.examples)}
        assert len(set(names)) == len(names)
        assert set(names) <= known
        assert len(names) == pytest.approx(manifest.examples, rel=0.3)


# === Damaged records that are left out ===


@pytest.fixture
def damaged(shards):
    """Two shards with holes; how many records are lost."""
    files = [shard.file for shard in Manifest.load(shards).shards]
    for file in files[1:3]:
        data = (shards / file).read_bytes()
        (shards / file).write_bytes(data[: len(data) * 2 // 3])
    lost = open_source(shards, skip_corrupt=1000).records_lost
    assert 2 <= lost < Manifest.load(shards).examples / 4
    return lost


def test_lost_records_move_no_step(shards, damaged):
    count = Manifest.load(shards).examples
    options = {"batch_size": 3, "seed": 3, "skip_corrupt": damaged}
    steps = 2 * count // 3 + 1
    whole = take(shards, steps, **options)
    for one, other in zip(take(shards, steps - 7, 7, **options), whole[7:], strict=True):
        assert_equal(one, other)
    batches = PretrainingBatches(shards, **options)
    assert batches.rows == count
    epoch = [name for step in range(count // 3) for name in batches.example_names(step)]
    assert len(epoch) == count // 3 * 3
    assert len(set(epoch)) >= len(epoch) - damaged
    assert batches.metrics == {"skipped_records": damaged}
    assert [line.split(" of ")[0] for line in batches.describe()] == [
        f"left out: {lost} damaged records" for lost in batches.source.lost.values()
    ]


def test_the_places_of_lost_records_in_packed_rows_stay_empty(shards, damaged):
    whole = packed(shards, 1, skip_corrupt=damaged)
    count = Manifest.load(shards).examples
    rows_ = list(itertools.islice(whole.batches(), whole.rows))
    assert sum(batch["next_sentence_weights"].sum() for batch in rows_) == count - damaged
    for step in range(0, whole.rows, 5):
        assert_equal(next(packed(shards, 1, skip_corrupt=damaged).batches(step)), rows_[step])


def test_without_leave_they_stop_the_reading(shards, damaged):
    with pytest.raises(RecordError, match=r"damaged at byte \d+, record \d+: .* --skip-corrupt \d+"):
        take(shards, 40, batch_size=3)
    with pytest.raises(RecordError, match=f"at most 1 damaged records. {damaged} are lost"):
        PretrainingBatches(shards, batch_size=3, skip_corrupt=1)


def test_a_corpus_without_pairs_has_no_labels(corpus):
    """Objective "none": the labels mean nothing, and weigh nothing."""
    manifest = json.loads((corpus / "manifest.json").read_text())
    manifest["settings"]["pairs"]["objective"] = "none"
    (corpus / "manifest.json").write_text(json.dumps(manifest))
    (batch,) = take(corpus, 1, batch_size=4)
    assert batch["next_sentence_weights"].tolist() == [0.0] * 4
    assert batch["next_sentence_labels"].tolist() == [0] * 4
    (batch,) = itertools.islice(packed(corpus).batches(), 1)
    assert not batch["next_sentence_weights"].any()
