"""Fixtures for tests of corpora: a corpus that is built from a tiny text."""

import pytest

from kbert.corpus.building import build, shards
from kbert.corpus.building.build import build_corpus


@pytest.fixture
def small_pieces(monkeypatch):
    """Several chunks a shard and several shards, of a tiny text."""
    monkeypatch.setattr(build, "_CHUNK_SIZE", 250)
    monkeypatch.setattr(shards, "SHARD_EXAMPLES", 8)


@pytest.fixture
def make(tmp_path, vocab_file, corpus_text):
    """Builds the tiny text into the folder `name`."""

    def make(name, inputs=(corpus_text,), **options):
        folder = tmp_path / name
        build_corpus(inputs, vocab=vocab_file, output=folder, **{"sequence_length": 16, **options})
        return folder

    return make


@pytest.fixture(scope="session")
def content():
    """Gives the bytes of each file of a folder, by name."""
    return lambda folder: {path.name: path.read_bytes() for path in folder.iterdir()}
