"""The Beam pipeline: its steps in this process and, if apache-beam is installed, on its multi-process runner.

`tox -e beam` installs it.
"""

import collections
import gzip
import importlib.util
import os
import pickle
import subprocess
import sys

import pytest

from kbert.corpus.building import beam, build, shards
from kbert.corpus.building.build import build_corpus
from kbert.corpus.building.plan import plan_chunks
from kbert.corpus.records.manifest import Manifest
from kbert.errors import KbertError, UsageError

NEEDS_BEAM = pytest.mark.skipif(importlib.util.find_spec("apache_beam") is None, reason="needs apache-beam")


@pytest.fixture
def texts(tmp_path, corpus_text):
    """Two files, one of which must be read from its begin."""
    text = corpus_text.read_text()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(text * 9)
    (tmp_path / "texts" / "b.txt.gz").write_bytes(gzip.compress((text * 7).encode()))
    (tmp_path / "texts" / "c.txt").write_text(text)
    return tmp_path / "texts"


def run_steps(job, plans, runner, options):
    """What the pipeline does, step by step; each worker has the job as it was sent."""
    batches, streamed = beam._write_plans(job, plans)
    sent = pickle.dumps(job)
    groups = collections.defaultdict(list)
    for part in reversed(streamed):
        for number, piece in pickle.loads(sent).streamed_documents(part):
            groups[number].append(piece)
    for lines in reversed(batches):
        for number, piece in pickle.loads(sent).seekable_ranges(lines):
            groups[number].append(piece)
    chunks = [pickle.loads(sent).build(group) for group in sorted(groups.items(), reverse=True)]
    numbers = beam._shards_of(map(beam._size, chunks))
    of_shard = collections.defaultdict(list)
    for chunk in chunks:
        number, kept = beam._with_shard(chunk, numbers)
        of_shard[number].append(kept)
    job.finish([pickle.loads(sent).write(shard) for shard in reversed(of_shard.items())])
    return beam._read_outcome(job, runner)


@pytest.mark.parametrize("deduplicate", ["none", "line"])
def test_the_steps_give_the_bytes_of_a_local_build(content, texts, vocab_file, tmp_path, monkeypatch, deduplicate):
    monkeypatch.setattr(build, "_CHUNK_SIZE", 300)
    monkeypatch.setattr(shards, "SHARD_EXAMPLES", 30)
    monkeypatch.setattr(beam, "_PLANS_AT_ONCE", 3)
    monkeypatch.setattr(build, "check_runner", lambda runner, options: None)
    monkeypatch.setattr(beam, "run_job", run_steps)
    options = {"vocab": vocab_file, "sequence_length": 16, "seed": 3, "deduplicate": deduplicate}
    build_corpus([texts], output=tmp_path / "local", **options)
    build_corpus([texts], output=tmp_path / "beam", runner="DirectRunner", **options)
    assert len(Manifest.load(tmp_path / "local").shards) > (1 if deduplicate == "none" else 0)
    assert content(tmp_path / "beam") == content(tmp_path / "local")


def test_where_shards_end_is_where_a_local_build_ends_them(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_EXAMPLES", 10)
    assert shards.shard_numbers([4, 4, 4, 10, 9, 1, 3]) == [0, 0, 0, 1, 2, 2, 3]


@pytest.mark.skipif(importlib.util.find_spec("apache_beam") is not None, reason="needs that there is no apache-beam")
def test_without_beam(texts, vocab_file, tmp_path):
    with pytest.raises(UsageError, match=r"^--runner needs apache-beam: pip install 'kbert\[beam\]'$"):
        build_corpus([texts], vocab=vocab_file, output=tmp_path / "corpus", runner="DirectRunner")
    assert not (tmp_path / "corpus").exists()


def test_wrong_use(texts, vocab_file, tmp_path):
    with pytest.raises(UsageError, match="runner must be one of DirectRunner, FlinkRunner"):
        build_corpus([texts], vocab=vocab_file, output=tmp_path / "corpus", runner="SamzaRunner")
    with pytest.raises(UsageError, match="resume works only without runner"):
        build_corpus([texts], vocab=vocab_file, output=tmp_path / "corpus", runner="DirectRunner", resume=True)


# === With apache-beam ===


def kbert(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "kbert", "corpus", "build", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@NEEDS_BEAM
@pytest.mark.slow
def test_the_records_of_a_local_build(content, texts, vocab_file, tmp_path):
    """In several processes, each a worker of Beam's."""
    text = texts / "a.txt"
    text.write_text(text.read_text() * 600)
    arguments = [texts, "--vocab", vocab_file, "--sequence-length", "32"]
    for workers in (1, 2, 4):
        assert kbert(*arguments, "--output", tmp_path / f"{workers}", "--workers", workers).returncode == 0
    result = kbert(
        *arguments, "--output", tmp_path / "beam", "--runner", "DirectRunner",
        "--", "--direct_running_mode=multi_processing", "--direct_num_workers=2",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert Manifest.load(tmp_path / "1").counts["bytes"] > 3 << 20
    assert len(Manifest.load(tmp_path / "1").shards) > 1
    for name in ("2", "4", "beam"):
        assert content(tmp_path / name) == content(tmp_path / "1")


@NEEDS_BEAM
@pytest.mark.slow
def test_a_wrong_option_is_one_line(texts, vocab_file, tmp_path):
    result = kbert(
        texts, "--vocab", vocab_file, "--output", tmp_path / "corpus", "--runner", "DirectRunner",
        "--", "--direct_running_mode=sideways",
    )  # fmt: skip
    assert result.returncode == 2
    assert "Error: DirectRunner rejects the options --direct_running_mode=sideways" in result.stderr


@NEEDS_BEAM
@pytest.mark.slow
def test_a_job_that_fails_is_one_line(texts, vocab_file, tmp_path, monkeypatch):
    def shrinking(*arguments, **options):
        yield from list(plan_chunks(*arguments, **options))
        (texts / "a.txt").write_text("The cat.\n")

    monkeypatch.setattr(build, "plan_chunks", shrinking)
    with pytest.raises(KbertError, match=r"a\.txt:1: expected \d+ documents. Received 1"):
        build_corpus([texts], vocab=vocab_file, output=tmp_path / "corpus", runner="DirectRunner")
    assert not (tmp_path / "corpus" / "manifest.json").exists()
