"""Corpora of kbert and of other programs: missing, additional, changed and damaged files and records."""

import gzip

import numpy as np
import pytest
import tensorflow as tf

from kbert.corpus.building import build
from kbert.corpus.building import shards as shards_
from kbert.corpus.reading import foreign_records
from kbert.corpus.reading.open_source import open_source
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.corpus.records.manifest import Manifest
from kbert.errors import RecordError, UsageError

LENGTH, PREDICTIONS = 12, 3
EXAMPLES = 40
ORIGINAL = {"input_word_ids": "input_ids", "input_type_ids": "segment_ids"}


def example(index, names=ORIGINAL, **changes):
    """A record as create_pretraining_data.py writes it: padded, float weights."""
    count = 5 + index % 7
    features = {
        "input_word_ids": [2, *range(5, 3 + count), 3] + [0] * (LENGTH - count),
        "input_mask": [1] * count + [0] * (LENGTH - count),
        "input_type_ids": [0] * 3 + [1] * (count - 3) + [0] * (LENGTH - count),
        "masked_lm_positions": [1, 3, 0],
        "masked_lm_ids": [6 + index % 5, 7, 0],
        "masked_lm_weights": [1.0, 1.0, 0.0],
        "next_sentence_labels": [index % 2],
    } | changes

    def feature(values):
        if values and isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    named = {names.get(name, name): feature(values) for name, values in features.items() if values is not None}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


def write(path, records, options=None):
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.fixture(params=["original", "model garden", "model garden, gzip"])
def foreign(request, tmp_path):
    """A folder of two files of records that kbert did not write."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    names = ORIGINAL if request.param == "original" else {}
    options = "GZIP" if request.param.endswith("gzip") else None
    suffix = ".gz" if options else ""
    for number in range(2):
        records = [example(index, names) for index in range(number * 20, number * 20 + 20)]
        write(folder / f"part-{number}.tfrecord{suffix}", records, options)
    (folder / "notes.txt").write_text("no records")
    return folder


def test_records_of_others_are_read_as_they_are(foreign, vocab_file):
    batches = PretrainingBatches(foreign, batch_size=EXAMPLES, vocab=vocab_file)
    assert (batches.manifest.sequence_length, batches.manifest.max_predictions) == (LENGTH, PREDICTIONS)
    assert (batches.manifest.examples, batches.manifest.lowercase) == (EXAMPLES, True)
    batch = next(batches.batches())
    names = batches.example_names(0)
    assert len(set(names)) == EXAMPLES
    for row, name in enumerate(names):
        file, number = name.split("#")
        expected = tf.train.Example.FromString(example(20 * int(file[5]) + int(number), {})).features.feature
        for feature, values in batch.items():
            stored = expected[feature].float_list.value or expected[feature].int64_list.value
            assert np.atleast_1d(values[row]).tolist() == list(stored), feature


def test_globs_and_files(foreign, vocab_file):
    files = sorted(path for path in foreign.iterdir() if path.suffix != ".txt")
    assert open_source(str(foreign / "part-*"), vocab=vocab_file, cased=True).manifest.examples == EXAMPLES
    only = open_source(files[1], vocab=vocab_file, cased=True)
    assert (only.manifest.examples, only.manifest.lowercase) == (20, False)
    with pytest.raises(UsageError, match="no such file"):
        open_source(str(foreign / "absent-*"), vocab=vocab_file)


def test_large_plain_files_are_read_in_parts(foreign, vocab_file, monkeypatch):
    whole = list(_examples(foreign, vocab_file))
    monkeypatch.setattr(foreign_records, "_PART_EXAMPLES", 8)
    parts = open_source(foreign, vocab=vocab_file).parts
    compressed = any(path.suffix == ".gz" for path in foreign.iterdir())
    assert [part.examples for part in parts] == ([20, 20] if compressed else [8, 8, 4] * 2)
    assert list(_examples(foreign, vocab_file)) == whole
    assert {name for name, _ in whole} == {name for name, _ in _examples(foreign, vocab_file)}


def _examples(folder, vocab, **options):
    opened = open_source(folder, vocab=vocab, **options)
    for part in opened.parts:
        examples = opened.read(part)
        ids = examples.columns["masked_lm_ids"]
        for index in range(len(examples)):
            yield examples.name(index), ids.values[ids.splits[index] : ids.splits[index + 1]].tolist()


def test_they_can_be_packed(foreign, vocab_file):
    batches = PretrainingBatches(foreign, batch_size=2, vocab=vocab_file, pack_to=30)
    assert batches.fill_rate > 0.7
    plain = PretrainingBatches(foreign, batch_size=EXAMPLES, vocab=vocab_file)
    batch = next(PretrainingBatches(foreign, batch_size=batches.rows, vocab=vocab_file, pack_to=30).batches())
    whole = next(plain.batches())
    for name in ("input_mask", "masked_lm_weights", "next_sentence_labels", "masked_lm_ids"):
        assert batch[name].sum() == whole[name].sum(), name
    assert batch["next_sentence_weights"].sum() == EXAMPLES


def test_damage_to_plain_files(foreign, vocab_file):
    path = next(iter(sorted(foreign.glob("part-1*"))))
    if path.suffix == ".gz":
        pytest.skip("the next test is of compressed files")
    data = path.read_bytes()
    size = len(data) // 20
    path.write_bytes(data[: 5 * size + 40] + b"\xff" + data[5 * size + 41 :])
    with pytest.raises(
        RecordError, match=r"part-1\.tfrecord: .*at byte \d+, record 6: the checksum of a record's data"
    ):
        open_source(foreign, vocab=vocab_file)
    opened = open_source(foreign, vocab=vocab_file, skip_corrupt=1)
    assert (opened.lost, opened.records_lost, opened.manifest.examples) == ({"part-1.tfrecord": 1}, 1, EXAMPLES - 1)
    names = [name for name, _ in _examples(foreign, vocab_file, skip_corrupt=1)]
    assert names == [f"part-{n}.tfrecord#{i}" for n in range(2) for i in range(20) if (n, i) != (1, 5)]
    # Zeros over a block of a disk, across three records.
    path.write_bytes(data[: 5 * size + 40] + bytes(2 * size) + data[7 * size + 40 :])
    with pytest.raises(RecordError, match=r"at most 2 damaged records\. 3 are lost \(part-1\.tfrecord: 3\)"):
        open_source(foreign, vocab=vocab_file, skip_corrupt=2)
    assert open_source(foreign, vocab=vocab_file, skip_corrupt=3).manifest.examples == EXAMPLES - 3


def test_damage_to_compressed_files_of_others_is_never_passed_over(tmp_path, vocab_file):
    """They are one gzip member each: behind a hole nothing can be read, and nobody knows what was there."""
    path = write(tmp_path / "one.tfrecord.gz", [example(index) for index in range(20)], "GZIP")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(RecordError, match=r"one\.tfrecord\.gz: .*the number of lost records is unknown"):
        open_source(path, vocab=vocab_file, skip_corrupt=100)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_word_ids": None}, "has neither input_word_ids nor input_ids"),
        ({"input_word_ids": [2, 99, 3] + [0] * 9}, "token ids beyond the vocabulary's 23 entries"),
        ({"input_type_ids": [0] * 3}, "more or fewer type ids than token ids"),
        ({"input_mask": [0] * LENGTH}, "input_mask has no 1"),
        ({"masked_lm_positions": [1, 11, 0]}, "has invalid masked positions or ids"),
        ({"masked_lm_ids": [1]}, "more or fewer masked_lm_ids than positions"),
        ({"next_sentence_labels": [1, 1]}, "exactly one value of next_sentence_labels"),
        ({"masked_lm_weights": [1, 1, 0]}, "masked_lm_weights"),
    ],
)
def test_records_of_something_else(tmp_path, vocab_file, changes, message):
    path = write(tmp_path / "one.tfrecord", [example(0), example(1), example(2, **changes), example(3)])
    with pytest.raises(
        RecordError,
        match=rf"one\.tfrecord: expected .* in record 3 at byte \d+, but .*{message}.*; or train without it: .* --skip",
    ):
        open_source(path, vocab=vocab_file)
    opened = open_source(path, vocab=vocab_file, skip_corrupt=1)
    assert (opened.lost, opened.manifest.examples) == ({str(path): 1}, 3)
    assert opened.labelled()
    assert opened.read(opened.parts[0]).numbers.tolist() == [0, 1, 3]


@pytest.mark.parametrize("garbage", [b"", b"no example", b"\x0a\xff\xff\xff\xff\x0f"])
def test_records_that_are_no_examples_are_counted(tmp_path, vocab_file, monkeypatch, garbage):
    """Their checksums are right: somebody wrote them so. The first record may be one, and parts begin behind them."""
    monkeypatch.setattr(foreign_records, "_PART_EXAMPLES", 3)
    monkeypatch.setattr(foreign_records, "_SURVEYED", 2)
    records = [garbage, example(0), garbage, *[example(index) for index in range(1, 8)]]
    path = write(tmp_path / "one.tfrecord", records)
    with pytest.raises(RecordError, match=r"in record 1 at byte 0, but "):
        open_source(path, vocab=vocab_file)
    with pytest.raises(RecordError, match=r"expected at most 1 damaged records\. 2 are lost \(.*one\.tfrecord: 2\)"):
        open_source(path, vocab=vocab_file, skip_corrupt=1)
    opened = open_source(path, vocab=vocab_file, skip_corrupt=2)
    assert [opened.read(part).numbers.tolist() for part in opened.parts] == [[1, 3, 4], [5, 6, 7], [8, 9]]
    batches = PretrainingBatches(path, batch_size=4, vocab=vocab_file, skip_corrupt=2)
    assert next(batches.batches())["input_word_ids"].shape == (4, LENGTH)


def longer(index, length=20, predictions=5):
    """A record padded to another length, with room for more predictions."""
    padded = {
        name: values + [0] * (length - LENGTH)
        for name, values in {
            "input_word_ids": [2, 5, 6, 7, 3] + [0] * 7,
            "input_mask": [1] * 5 + [0] * 7,
            "input_type_ids": [0] * LENGTH,
        }.items()
    }
    masks = {"masked_lm_positions": [1, 2, 3], "masked_lm_ids": [6, 7, 8], "masked_lm_weights": [1.0] * 3}
    padded |= {name: values + [values[0] * 0] * (predictions - 3) for name, values in masks.items()}
    return example(index, **padded)


def test_two_lengths_are_told_before_training(tmp_path, vocab_file):
    folder = tmp_path / "mixed"
    folder.mkdir()
    write(folder / "a.tfrecord", [example(index) for index in range(5)])
    write(folder / "b.tfrecord", [example(0), longer(1)])
    with pytest.raises(
        RecordError,
        match=r"mixed: expected records of one sequence length\. Received: 12 tokens in record 1 of a\.tfrecord, "
        r"20 tokens in record 2 of b\.tfrecord; put the records of each length into a folder of their own, .* --phase",
    ):
        open_source(folder, vocab=vocab_file)


def test_room_for_more_predictions_is_made(tmp_path, vocab_file):
    write(tmp_path / "a.tfrecord", [example(index) for index in range(5)])
    write(tmp_path / "b.tfrecord", [longer(1, LENGTH, 6)] * 5)
    opened = open_source(tmp_path, vocab=vocab_file)
    assert (opened.manifest.sequence_length, opened.manifest.max_predictions) == (12, 6)
    batches = PretrainingBatches(tmp_path, batch_size=10, vocab=vocab_file)
    assert next(batches.batches())["masked_lm_weights"].sum(1).tolist().count(3.0) == 5


def test_records_without_masks_or_without_records(tmp_path, vocab_file, corpus):
    nothing = dict.fromkeys(("masked_lm_positions", "masked_lm_ids", "masked_lm_weights"))
    path = write(tmp_path / "plain.tfrecord", [example(0, **nothing)])
    with pytest.raises(RecordError, match="They have no masks"):
        open_source(path, vocab=vocab_file)
    write(path, [])
    with pytest.raises(RecordError, match=r"expected records\. There are none"):
        open_source(path, vocab=vocab_file)
    with pytest.raises(RecordError, match=r"expected a corpus made by `kbert corpus build`.* --vocab"):
        open_source(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no records")
    with pytest.raises(RecordError, match=r"expected a manifest\.json, or files with tfrecord"):
        open_source(tmp_path / "empty", vocab=vocab_file)
    with pytest.raises(UsageError, match="leave out --vocab and --cased"):
        open_source(corpus, vocab=vocab_file)


def test_a_file_that_changes_meanwhile(foreign, vocab_file):
    opened = open_source(foreign, vocab=vocab_file)
    path = sorted(foreign.glob("part-0*"))[0]
    path.write_bytes(path.read_bytes() + sorted(foreign.glob("part-1*"))[0].read_bytes())
    with pytest.raises(RecordError, match="It has changed since"):
        opened.read(opened.parts[0])


# === Shards of kbert's ===


@pytest.fixture
def shards(monkeypatch, tmp_path, vocab_file, corpus_text):
    monkeypatch.setattr(build, "_CHUNK_SIZE", 500)
    monkeypatch.setattr(shards_, "SHARD_EXAMPLES", 30)
    folder = tmp_path / "shards"
    build.build_corpus([corpus_text] * 6, vocab=vocab_file, output=folder, sequence_length=16)
    assert len(Manifest.load(folder).shards) > 2
    return folder


def read_first(folder, skip_corrupt=0):
    opened = open_source(folder, skip_corrupt=skip_corrupt)
    return opened.read(opened.parts[0])


def test_a_shard_too_many(shards):
    extra = shards / "examples-00099.tfrecord.gz"
    extra.write_bytes((shards / "examples-00000.tfrecord.gz").read_bytes())
    with pytest.raises(RecordError, match=r"examples-00099\.tfrecord\.gz: .*too many"):
        open_source(shards)


def test_a_changed_shard_is_never_read(shards):
    """Whole records, but of another corpus: nothing is damaged, and yet all of it is wrong."""
    shard = Manifest.load(shards).shards[0]
    framed = gzip.decompress((shards / shard.file).read_bytes())
    (shards / shard.file).write_bytes(gzip.compress(framed, 9, mtime=0))
    for skip_corrupt in (0, 1000):
        with pytest.raises(RecordError, match=r"examples-00000\.tfrecord\.gz: .*this is another shard"):
            read_first(shards, skip_corrupt)


def test_skipping_stops_past_the_limit(shards):
    path = shards / Manifest.load(shards).shards[1].file
    path.write_bytes(path.read_bytes()[:60])
    lost = open_source(shards, skip_corrupt=1000).records_lost
    assert lost > 1
    with pytest.raises(
        RecordError, match=rf"at most {lost - 1} damaged records\. {lost} are lost \({path.name}: {lost}\)"
    ):
        open_source(shards, skip_corrupt=lost - 1)
    assert open_source(shards, skip_corrupt=lost).lost == {path.name: lost}
    with pytest.raises(UsageError, match="at least 0"):
        open_source(shards, skip_corrupt=-1)


def test_a_changed_header_costs_nothing(shards):
    """The time in the header of a gzip member means nothing, but the shard is not what it was."""
    path = shards / Manifest.load(shards).shards[0].file
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\x07" + data[5:])
    with pytest.raises(RecordError, match=r"at byte 0, record 1: the header of a gzip member was changed; 0 of its"):
        read_first(shards)
    opened = open_source(shards, skip_corrupt=1)
    assert len(opened.read(opened.parts[0])) == Manifest.load(shards).shards[0].examples
    assert opened.lost == {path.name: 0}


def test_lengths_are_those_of_the_records(shards):
    opened = open_source(shards)
    for part, lengths in zip(opened.parts, opened.lengths(), strict=True):
        assert part.shard.lengths
        np.testing.assert_array_equal(lengths.counts, np.bincount(opened.read(part).lengths))
