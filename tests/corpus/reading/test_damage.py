"""Random damage to real shards: every damage is found, and the lost records are counted exactly."""

import gzip
import random
import zlib
from collections import Counter

import pytest

from kbert.corpus.building import build
from kbert.corpus.building import shards as shards_
from kbert.corpus.reading.open_source import open_source
from kbert.corpus.records.manifest import Manifest
from kbert.corpus.records.reader import Damage, Record, read_records
from kbert.errors import RecordError


@pytest.fixture(params=["dynamic", "static"])
def shards(request, monkeypatch, tmp_path, vocab_file, corpus_text):
    """A corpus of some shards, each of some gzip members."""
    monkeypatch.setattr(build, "_CHUNK_SIZE", 500)
    monkeypatch.setattr(shards_, "SHARD_EXAMPLES", 60)
    folder = tmp_path / "shards"
    build.build_corpus([corpus_text] * 12, vocab=vocab_file, output=folder, sequence_length=16, masking=request.param)
    return folder


def member_counts(data):
    """Where each gzip member ends, and how many records it holds, as Python's own reader has it."""
    ends = []
    while data:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        framed = inflate.decompress(data)
        count = 0
        while framed:
            framed = framed[16 + int.from_bytes(framed[:8], "little") :]
            count += 1
        ends.append((len(data) - len(inflate.unused_data), count))
        data = inflate.unused_data
    return ends


def flips(rng, data, number):
    for _ in range(number):
        place = rng.randrange(len(data))
        yield place, data[:place] + bytes([data[place] ^ rng.randrange(1, 256)]) + data[place + 1 :]


def truncations(rng, data, number):
    for _ in range(number):
        place = rng.randrange(len(data))
        yield place, data[:place]


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        (flips, 60),
        (truncations, 20),
        pytest.param(flips, 1000, marks=pytest.mark.slow),
        pytest.param(truncations, 200, marks=pytest.mark.slow),
    ],
)
def test_damage_to_shards(shards, damage, number):
    rng = random.Random(f"{damage.__name__} {number}")
    manifest = Manifest.load(shards)
    assert len(manifest.shards) > 2
    for index, shard in enumerate(manifest.shards):
        path = shards / shard.file
        data = path.read_bytes()
        whole = Counter(item.data for item in read_records(path, strict=True))
        members = member_counts(data)
        assert len(members) > 2 or index
        assert whole.total() == shard.examples == sum(count for _, count in members)
        share = number // len(manifest.shards) + (index < number % len(manifest.shards))
        for place, damaged in damage(rng, data, share):
            path.write_bytes(damaged)
            with pytest.raises(RecordError, match=shard.file) as stopped:
                open_source(shards).read(_part(shards, index))
            source = open_source(shards, skip_corrupt=manifest.examples)
            left = source.read(source.parts[index])
            found = Counter(record.data for record in source._records(source.parts[index]))
            assert not found - whole, "a record that never was"
            assert source.lost == {shard.file: shard.examples - found.total()}
            assert len(left) == found.total()
            assert f"{source.records_lost} of its {shard.examples} examples are lost" in str(stopped.value)
            if damage is flips:
                begin = 0
                for end, count in members:
                    if begin <= place < begin + end:
                        assert source.records_lost <= count, "more than the member that was hit"
                    begin += end
            else:
                kept = sum(count for end, count in _ended(members, place))
                assert source.records_lost <= shard.examples - kept
        path.write_bytes(data)


def _part(folder, index):
    return open_source(folder).parts[index]


def _ended(members, place):
    end = 0
    for size, count in members:
        end += size
        if end <= place:
            yield size, count


def _plain(shards, tmp_path):
    """The records of the first shard, without compression, and where each begins."""
    path = shards / Manifest.load(shards).shards[0].file
    framed = gzip.decompress(path.read_bytes())
    plain = tmp_path / "plain.tfrecord"
    plain.write_bytes(framed)
    return plain, framed, list(read_records(plain))


def test_a_flip_in_a_plain_file_loses_one_record(shards, tmp_path):
    path, framed, whole = _plain(shards, tmp_path)
    rng = random.Random(5)
    for place, damaged in flips(rng, framed, 60):
        path.write_bytes(damaged)
        found = list(read_records(path))
        hit = max(item.number for item in whole if item.offset <= place)
        assert [item.number for item in found if isinstance(item, Record)] == [
            number for number in range(len(whole)) if number != hit
        ]
        assert [(item.number, item.offset, item.lost) for item in found if isinstance(item, Damage)] == [
            (hit, whole[hit].offset, 1)
        ]


def test_a_truncated_plain_file_says_so(shards, tmp_path):
    path, framed, whole = _plain(shards, tmp_path)
    begins = {item.offset for item in whole}
    rng = random.Random(6)
    for place, damaged in truncations(rng, framed, 30):
        if place in begins:
            continue
        path.write_bytes(damaged)
        *found, last = read_records(path)
        assert [item.data for item in found] == [item.data for item in whole[: len(found)]]
        assert isinstance(last, Damage)
        assert (last.number, last.offset, last.lost) == (len(found), whole[len(found)].offset, 1)
        assert "the file ends within a record" in last.reason
