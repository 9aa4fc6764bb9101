"""Builds whose folder is in use, and builds that are interrupted by a signal, a killed worker or a full disk."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from kbert.corpus.building import shards
from kbert.corpus.building.journal import Journal
from kbert.corpus.records.manifest import Manifest
from kbert.errors import DataError, KbertError, UsageError


def test_a_finished_corpus_is_not_replaced(content, make):
    before = content(make("corpus"))
    with pytest.raises(UsageError, match="holds a corpus already; choose another --output"):
        make("corpus")
    assert content(make("corpus2")) == before


OTHER = ("notes.txt", "examples-of-mine.txt", "text.part", "examples-00000.tfrecord.gz.bak")
WITHOUT_JOURNAL = ("vocab.txt", "tokenizer_config.json", "examples-00000.tfrecord.gz")
"""Files that a build would write after its journal; `kbert vocab train` writes some of them too."""


@pytest.mark.parametrize("name", [*OTHER, *WITHOUT_JOURNAL])
def test_a_folder_of_other_files_is_left_alone(content, make, tmp_path, name):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / name).write_text("mine")
    with pytest.raises(UsageError, match=f"must be a new or empty folder. .* holds {name}"):
        make("corpus")
    assert content(tmp_path / "corpus") == {name: b"mine"}


def test_an_unfinished_folder_without_shards_is_built_anew(content, make, tmp_path):
    whole = content(make("whole"))
    folder = tmp_path / "corpus"
    folder.mkdir()
    left = [".examples-00003.tfrecord.gz.k_3x.part", ".vocab.txt.abc.part", ".manifest.json.abc.part"]
    for name in ("vocab.txt", "examples-00000.tfrecord.gz", "examples-00007.tfrecord", "unfinished.jsonl", *left):
        (folder / name).write_bytes(b"left over")
    assert content(make("corpus")) == whole


class Kill(BaseException):
    """Stops a build in the middle of what it does."""


@pytest.fixture
def stop_after(make, monkeypatch):
    """Builds the corpus "corpus" until so many shards are in the journal."""

    def stop(shards, **options):
        add, added = Journal.add, []

        def add_and_stop(self, finished):
            add(self, finished)
            added.append(finished)
            if len(added) == shards:
                raise Kill

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "add", add_and_stop)
            with pytest.raises(Kill):
                make("corpus", **options)

    return stop


@pytest.mark.parametrize("workers", [1, 2])
def test_resuming_gives_the_same_bytes_and_repeats_nothing(
    content, make, stop_after, small_pieces, tmp_path, monkeypatch, workers
):
    whole = content(make("whole"))
    stop_after(2)
    folder = tmp_path / "corpus"
    assert not (folder / "manifest.json").exists()
    done = {path.name: path.stat() for path in folder.glob("examples-*")}
    assert len(done) == 2
    (folder / ".examples-00002.tfrecord.gz.abc.part").write_bytes(b"half a shard")
    with open(folder / "unfinished.jsonl", "a") as handle:
        handle.write('{"shard": {"file": "examples-00002')  # a line half-written
    assert content(make("corpus", resume=True, workers=workers)) == whole
    for name, status in done.items():
        assert (folder / name).stat().st_ino == status.st_ino
    (folder / "unfinished.jsonl").write_text("killed between the last two steps")
    assert content(make("corpus", resume=True)) == whole  # nothing is left to do


def test_resume_begins_what_was_not_begun(content, make):
    assert content(make("corpus", resume=True)) == content(make("whole"))


def test_an_unfinished_corpus_is_named_with_the_way_out(content, make, stop_after, small_pieces, tmp_path):
    stop_after(2)
    before = content(tmp_path / "corpus")
    with pytest.raises(UsageError, match="holds an unfinished corpus of 2 shards; add --resume to"):
        make("corpus")
    assert content(tmp_path / "corpus") == before


def test_only_the_same_build_is_resumed(content, make, stop_after, small_pieces, tmp_path, corpus_text):
    stop_after(1)
    before = content(tmp_path / "corpus")
    with pytest.raises(UsageError, match=r"was started with settings.seed=0. Received: settings.seed=1; resume with"):
        make("corpus", resume=True, seed=1)
    with pytest.raises(UsageError, match=r"started with settings.pairs.objective='nsp'. Received: .*='sop'"):
        make("corpus", resume=True, objective="sop")
    assert content(tmp_path / "corpus") == before
    corpus_text.write_text("The cat sat.\n\nA dog ran.\n")
    with pytest.raises(UsageError, match="was started with inputs="):
        make("corpus", resume=True)
    assert content(tmp_path / "corpus") == before


def test_a_finished_shard_that_changed_is_no_ground_to_go_on(make, stop_after, small_pieces, tmp_path):
    stop_after(2)
    (tmp_path / "corpus" / "examples-00000.tfrecord.gz").write_bytes(b"else")
    with pytest.raises(
        DataError, match=r"examples-00000\.tfrecord\.gz: expected a shard that the unfinished build wrote"
    ):
        make("corpus", resume=True)


@pytest.mark.long
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_signal_leaves_what_can_be_resumed(content, tmp_path, vocab_file, number, exit_code):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{'cat sat ' * (n % 7 + 1)}mat.\nThe dog ran {n}.\n\n" for n in range(8_000)))
    code = (
        "import sys\nfrom kbert.corpus.building import build, shards\nfrom kbert.cli.main import main\n"
        "build._CHUNK_SIZE, shards.SHARD_EXAMPLES = 20_000, 1\nmain()"
    )
    command = [sys.executable, "-c", code, "corpus", "build", text, "--vocab", vocab_file, "--sequence-length", "16"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(name, *arguments):
        return subprocess.Popen(
            [*map(str, command), "--output", str(tmp_path / name), "--workers", "2", *arguments],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    process = run("killed")
    while len(list((tmp_path / "killed").glob("examples-*"))) < 2:
        assert process.poll() is None
        time.sleep(0.001)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    message = process.communicate()[1]
    assert process.returncode == exit_code
    if exit_code > 0:
        name = signal.Signals(number).name
        assert message == f"Error: stopped by {name}; add --resume to the same command to continue\n"
        assert not list((tmp_path / "killed").glob(".*"))
    assert not (tmp_path / "killed" / "manifest.json").exists()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    for finishing in (run("killed", "--resume"), run("whole")):
        assert " examples (" in finishing.communicate()[1]
        assert finishing.returncode == 0
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_killed_worker_is_one_line(make, tmp_path, small_pieces, corpus_text):
    """As the system does when memory is short."""

    def kill(stage, done, total):
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it was killed before
                if any("spawn_main" in argument for argument in child.cmdline()):
                    child.kill()

    with pytest.raises(
        KbertError, match="a worker process was killed, perhaps because memory ran out; continue with --resume"
    ):
        make("corpus", [corpus_text] * 20, workers=2, progress=kill)


def test_a_full_disk_leaves_no_corpus(content, make, tmp_path, vocab_file):
    """The system refuses to let a file grow past a limit, as it does when the disk is full."""
    text = tmp_path / "large.txt"
    text.write_text("".join(f"{'cat sat ' * (n % 7 + 1)}mat.\nThe dog ran {n}.\n\n" for n in range(3000)))
    code = (
        "import resource, sys\nfrom kbert.corpus.building.build import build_corpus\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\n"
        "build_corpus([sys.argv[1]], vocab=sys.argv[2], output=sys.argv[3], sequence_length=16)"
    )
    command = [sys.executable, "-c", code, str(text), str(vocab_file), str(tmp_path / "corpus")]
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "OSError: [Errno 27] File too large" in result.stderr
    assert sorted(content(tmp_path / "corpus")) == ["unfinished.jsonl", "vocab.txt"]
    assert Manifest.load(make("corpus", [text])).examples > 3000


def test_a_full_disk_is_said_with_the_way_out(make, monkeypatch):
    def write_shard(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_shard", write_shard)
        with pytest.raises(DataError, match=r"disk is full; 0 finished .* add --resume to"):
            make("corpus")
    make("corpus", resume=True)
