import gzip
import random

import numpy as np
import pytest
import tensorflow as tf

from kbert.corpus.records import gzip_members
from kbert.corpus.records import reader as record_reader
from kbert.corpus.records.encoding import join_records
from kbert.corpus.records.frames import frame_record
from kbert.corpus.records.reader import Damage, Record, read_records, without_copies

DATA = [bytes(random.Random(number).choices(range(256), k=20 + 3 * number)) for number in range(12)]


def read(path, **options):
    """(numbers and contents of the records, damages)."""
    found = list(read_records(path, **options))
    records = [(item.number, item.data) for item in found if isinstance(item, Record)]
    return records, [item for item in found if isinstance(item, Damage)]


@pytest.fixture
def write(tmp_path):
    def write(data, suffix=".tfrecord"):
        path = tmp_path / f"file{suffix}"
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def plain(write):
    return write(b"".join(map(frame_record, DATA)))


def members(*groups):
    return [join_records(group) for group in groups]


WHOLE = list(enumerate(DATA))


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_reads_what_tensorflow_writes(tmp_path, compression):
    path = tmp_path / ("file.tfrecord" + (".gz" if compression else ""))
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for data in DATA:
            writer.write(data)
    assert read(path) == (WHOLE, [])
    unnamed = path.rename(tmp_path / "file")
    assert read(unnamed) == (WHOLE, [])


def test_offsets_and_parts(plain):
    offsets = [item.offset for item in read_records(plain)]
    assert offsets == np.cumsum([0, *(len(data) + 16 for data in DATA[:-1])]).tolist()
    assert read(plain, begin=offsets[3], end=offsets[7], number=3) == (WHOLE[3:7], [])


def test_pieces_do_not_matter(plain, monkeypatch):
    monkeypatch.setattr(record_reader, "PIECE", 7)
    monkeypatch.setattr(gzip_members, "PIECE", 7)
    monkeypatch.setattr(gzip_members, "_PEEK", 7)
    assert read(plain) == (WHOLE, [])
    path = plain.with_suffix(".gz")
    path.write_bytes(b"".join(members(DATA[:5], DATA[5:])))
    assert read(path, strict=True) == (WHOLE, [])


def test_an_empty_file_has_no_records_and_no_damages(write):
    assert read(write(b"")) == ([], [])


def test_wrong_length_and_wrong_data(plain):
    data = bytearray(plain.read_bytes())
    offsets = [item.offset for item in read_records(plain)]
    data[offsets[2] + 1] ^= 1
    data[offsets[5] + 9] ^= 1
    data[offsets[8] + 20] ^= 1
    data[offsets[11] - 1] ^= 1
    plain.write_bytes(data)
    records, damages = read(plain)
    assert records == [item for item in WHOLE if item[0] not in (2, 5, 8, 10)]
    assert [(d.number, d.offset, d.lost, d.reason) for d in damages] == [
        (2, offsets[2], 1, "the checksum of a record's length is wrong"),
        (5, offsets[5], 1, "the checksum of a record's length is wrong"),
        (8, offsets[8], 1, "the checksum of a record's data is wrong"),
        (10, offsets[10], 1, "the checksum of a record's data is wrong"),
    ]


def test_bytes_too_many_or_too_few(plain):
    """The reader finds its way back, wherever they are."""
    data = plain.read_bytes()
    offsets = [item.offset for item in read_records(plain)]
    for place in (offsets[4], offsets[4] + 5, offsets[4] + 14):
        for changed in (data[:place] + b"xyz" + data[place:], data[:place] + data[place + 3 :]):
            plain.write_bytes(changed)
            records, damages = read(plain)
            assert [data for _, data in records] in ([*DATA[:4], *DATA[5:]], DATA)
            assert len(damages) == 1


def test_a_gzip_member_that_is_damaged_costs_no_other(write):
    parts = members(DATA[:4], DATA[4:8], DATA[8:])
    begin = len(parts[0])
    for place in range(len(parts[1])):
        data = bytearray(b"".join(parts))
        data[begin + place] ^= 0x55
        records, damages = read(write(data, ".gz"), strict=True)
        contents = [content for _, content in records]
        assert contents[:4] == DATA[:4]
        assert contents[-4:] == DATA[8:]
        assert set(contents) <= set(DATA)
        assert {damage.offset for damage in damages} <= {begin, begin + len(parts[1])}
        assert damages, place
    for place in range(1, len(parts[1])):
        data = b"".join((parts[0], parts[1][:place], parts[2]))
        records, damages = read(write(data, ".gz"), strict=True)
        contents = [content for _, content in records]
        assert contents[:4] + contents[-4:] == DATA[:4] + DATA[8:]
        assert damages, place


def test_the_beginning_of_a_damaged_member_is_kept(write):
    rows = [bytes(random.Random(number).choices(range(256), k=3000)) for number in range(50)]
    (data,) = members(rows)
    records, damages = read(write(data[: len(data) // 2], ".gz"))
    assert 20 < len(records) < 26
    assert records == list(enumerate(rows))[: len(records)]
    assert [(damage.offset, damage.reason, damage.lost) for damage in damages] == [
        (0, "the file ends within a gzip member", None)
    ]


def test_a_copied_record_is_none(write):
    """As a wrong back-reference makes it: the checksum of the member alone is wrong."""
    (right,) = members([DATA[0], DATA[1], DATA[2]])
    (wrong,) = members([DATA[0], DATA[0], DATA[2]])
    path = write(wrong[:-8] + right[-8:], ".gz")
    found = list(read_records(path))
    damaged = {item.offset for item in found if isinstance(item, Damage) and item.in_member}
    assert damaged == {0}
    kept = [item.data for item in without_copies(found, damaged) if isinstance(item, Record)]
    assert kept == [DATA[0], DATA[2]]
    assert [item.data for item in without_copies(found, ()) if isinstance(item, Record)] == [DATA[0], DATA[0], DATA[2]]


def test_other_gzip_headers(write):
    """With a name and a comment, as the gzip program writes; zeros at the end, as tape drives did."""
    framed = b"".join(map(frame_record, DATA))
    body = gzip.compress(framed, mtime=5)[10:]
    path = write(b"\x1f\x8b\x08\x18\0\0\0\0\0\x03name\0comment\0" + body + bytes(512), ".gz")
    assert read(path) == (WHOLE, [])
    assert [damage.reason for damage in read(path, strict=True)[1]] == ["the header of a gzip member was changed"]


def test_what_is_no_tfrecord(write):
    records, damages = read(write(b"a text, not records. " * 50_000))
    assert not records
    assert [(damage.number, damage.offset) for damage in damages] == [(0, 0)]
    records, damages = read(write(b"a text, not gzip. " * 50_000, ".gz"))
    assert not records
    assert [damage.reason for damage in damages] == ["no gzip member begins where one should"]
