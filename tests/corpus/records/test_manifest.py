import dataclasses
import json

import pytest

from kbert.corpus.records.manifest import Manifest, Shard
from kbert.errors import RecordError

MANIFEST = Manifest(
    lowercase=True,
    vocabulary_sha256="cc",
    sequence_length=16,
    max_predictions=3,
    masking="dynamic",
    settings={"seed": 0},
    counts={"examples": 7},
    shards=[Shard("examples-00000.tfrecord.gz", 3, "aa"), Shard("examples-00001.tfrecord.gz", 4, "bb")],
    kbert_version="0",
)


def test_comes_back(tmp_path):
    MANIFEST.save(tmp_path)
    assert Manifest.load(tmp_path) == MANIFEST
    assert Manifest.load(str(tmp_path)).examples == 7


def damaged(**changes):
    return json.dumps({**dataclasses.asdict(MANIFEST), **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"manifest\.json is missing"),
        ("{", "is not JSON"),
        ("[]", "has a missing or unknown setting"),
        ("{}", "has a missing or unknown setting: 'format_version'"),
        (damaged(format_version=2), "its format_version is 2, .*build it again"),
        (damaged(extra=1), "unknown setting: .*'extra'"),
        (damaged(shards=[{"file": "x"}]), "has a missing or unknown setting"),
        (damaged(shards=1), "has a missing or unknown setting"),
    ],
)
def test_what_is_no_corpus(tmp_path, content, message):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RecordError, match="expected a corpus made by `kbert corpus build`, but .*" + message) as caught:
        Manifest.load(tmp_path)
    assert caught.value.path == str(tmp_path)


def test_a_file_is_no_corpus(tmp_path):
    (tmp_path / "text.txt").write_text("The cat sat.")
    with pytest.raises(RecordError, match="is missing"):
        Manifest.load(tmp_path / "text.txt")


def test_fingerprint():
    same = dataclasses.replace(MANIFEST, kbert_version="1", settings={})
    other = dataclasses.replace(MANIFEST, shards=[MANIFEST.shards[0], Shard("examples-00001.tfrecord.gz", 4, "cc")])
    assert same.fingerprint() == MANIFEST.fingerprint() != other.fingerprint()
