"""A run that is killed and resumed several times has the same result as an uninterrupted run."""

import json
import os
import random
import subprocess
import sys

import pytest

from kbert.training.monitoring.throughput import TIMINGS

KILLS = int(os.environ.get("KBERT_KILLS", "100"))
IN_WRITES = -(-KILLS // 4)
"""How many of them, at least, while a checkpoint is being written."""

# Starts the run again and again in forks of itself, which need not import TensorFlow anew, and kills each of them:
# argv is the run's options, the number of kills, and how many of them are to be inside a checkpoint's write.
# Checkpoints are written slowly, so that there is time to kill in; a file tells when that is.
ASSASSIN = """
import contextlib, json, os, pathlib, random, signal, sys, time
import tensorflow
from kbert import files
from kbert.training.pretrain import pretrain

options, kills, in_writes = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
output = pathlib.Path(options["output"])
writing = output.with_name("writing")
plain = files.atomic_file

class Slow:
    def __init__(self, handle):
        self.handle = handle
    def write(self, data):
        for start in range(0, len(data), -(-len(data) // 20)):
            self.handle.write(data[start : start + -(-len(data) // 20)])
            self.handle.flush()
            time.sleep(0.004)

@contextlib.contextmanager
def slow_file(target):
    if not pathlib.Path(target).name.startswith("step-"):
        with plain(target) as handle:
            yield handle
        return
    writing.touch()
    with plain(target) as handle:
        yield Slow(handle)
    writing.unlink()

def attempt():
    writing.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        files.atomic_file = slow_file
        try:
            pretrain(**options, resume=True, show_progress=False)
        except BaseException as problem:
            print(repr(problem), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child

def ended(child):
    return os.waitpid(child, os.WNOHANG)[0] != 0

rng = random.Random(0)
inside = 0
for number in range(kills):
    child = attempt()
    wanted = inside < in_writes
    if wanted or number % 2:  # else at any moment, be it before the first step
        while not writing.exists():
            assert not ended(child), f"the run was over before kill {number}"
            time.sleep(0.001)
        for _ in range(rng.randrange(4)):
            while writing.exists(): time.sleep(0.0005)
            while not writing.exists(): time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.07 if wanted else 0.5))
    else:
        time.sleep(rng.uniform(0, 4))
    assert not ended(child), f"the run was over before kill {number}"
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    inside += bool(list(output.glob("checkpoints/.step-*.part")))
    for left_over in output.glob("checkpoints/.step-*.part"):
        left_over.rename(output.with_name("left over"))
assert os.waitpid(attempt(), 0)[1] == 0
print(f"{kills} kills, {inside} inside a checkpoint's write", file=sys.stderr)
assert inside >= in_writes
"""
STEPS = 40 * KILLS + 400


def pretrain(**options):
    arguments = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "kbert", "pretrain", *arguments]


def metrics(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMINGS} for row in rows]


def assert_same_end(folder, expected):
    assert (folder / "model.safetensors").read_bytes() == (expected / "model.safetensors").read_bytes()
    assert metrics(folder) == metrics(expected)


@pytest.mark.chaos
def test_kills_at_random_moments_change_nothing(tmp_path, corpus, pretrained):
    options = {
        "corpus": str(corpus),
        "model": str(pretrained),
        "steps": STEPS,
        "batch_size": 4,
        "checkpoint_every": 7,
        "log_every": 5,
    }
    subprocess.run(pretrain(**options, output=tmp_path / "whole"), check=True, stderr=subprocess.DEVNULL)
    options["output"] = str(tmp_path / "killed")
    arguments = [json.dumps(options), str(KILLS), str(IN_WRITES)]
    subprocess.run([sys.executable, "-c", ASSASSIN, *arguments], check=True)
    assert_same_end(tmp_path / "killed", tmp_path / "whole")


# === Two workers ===

PEER_KILLS = int(os.environ.get("KBERT_PEER_KILLS", "20"))


def children(process):
    path = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(path) as handle:
        return [int(pid) for pid in handle.read().split()]


@pytest.mark.chaos
def test_workers_that_are_killed_one_by_one_are_started_again_to_the_same_end(tmp_path, corpus, pretrained):
    import time

    options = {
        "corpus": corpus,
        "model": pretrained,
        "steps": 60 * PEER_KILLS + 100,
        "batch_size": 4,
        "checkpoint_every": 7,
        "log_every": 50,
    }
    launch = [sys.executable, "-m", "kbert", "launch", "--workers", "2", "--max-restarts", str(PEER_KILLS), "--"]

    def start(output):
        command = launch + pretrain(**options, output=output)[3:]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    _, errors = (whole := start(tmp_path / "whole")).communicate()
    assert whole.returncode == 0, errors
    rng = random.Random(1)
    process = start(tmp_path / "killed")
    newest = -1
    for number in range(PEER_KILLS):
        before = newest
        while newest == before:
            assert process.poll() is None, f"the run was over before kill {number}"
            time.sleep(0.01)
            names = os.listdir(tmp_path / "killed/checkpoints") if (tmp_path / "killed/checkpoints").exists() else []
            newest = max([before, *(int(name[5:13]) for name in names if name.startswith("step-"))])
        time.sleep(rng.uniform(0, 0.2))
        workers = children(process)
        os.kill(rng.choice(workers), 9)
        # Survivors end by themselves or are stopped; then there are two new workers.
        while set(children(process)) & set(workers):
            time.sleep(0.02)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert errors.count("ended with") == PEER_KILLS
    assert_same_end(tmp_path / "killed", tmp_path / "whole")


# === A full disk ===


@pytest.mark.chaos
def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, corpus, pretrained):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        options = {"corpus": corpus, "model": pretrained, "steps": 400, "batch_size": 4, "checkpoint_every": 50}
        command = pretrain(**options, output=disk / "run", keep_checkpoints=100)
        full = subprocess.run(command, capture_output=True, text=True, check=False)
        assert full.returncode == 1
        error = full.stderr.strip().splitlines()[-1]
        assert error.startswith("Error: the disk is full: the checkpoint of step ")
        assert "is kept); free some space and add --resume" in error
        assert not list(disk.rglob("*.part"))
        # The same command with room for fewer checkpoints goes on from the last.
        for path in sorted((disk / "run/checkpoints").glob("step-*"))[:-1]:
            path.unlink()
        again = [*pretrain(**options, output=disk / "run", keep_checkpoints=1), "--resume"]
        subprocess.run(again, check=True, stderr=subprocess.DEVNULL)
        subprocess.run(pretrain(**options, output=tmp_path / "whole"), check=True, stderr=subprocess.DEVNULL)
        assert_same_end(disk / "run", tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(disk)], check=False)
