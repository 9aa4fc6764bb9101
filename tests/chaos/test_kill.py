"""A run that is killed again and again ends as the run that was not."""

import json
import random
import subprocess
import sys
import time

import pytest

KILLS = 6


def start(corpus, pretrained, output):
    command = [sys.executable, "-m", "kbert", "pretrain", "--corpus", corpus, "--model", pretrained, "--output", output]
    command += ["--steps", "3000", "--batch-size", "4", "--checkpoint-every", "7", "--log-every", "5", "--resume"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def metrics(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


@pytest.mark.chaos
def test_kills_at_random_moments_change_nothing(tmp_path, corpus, pretrained):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(corpus, pretrained, whole).wait() == 0
    rng = random.Random(0)
    for number in range(KILLS):
        process = start(corpus, pretrained, killed)
        before = len(list(killed.glob("checkpoints/*"))) and max(killed.glob("checkpoints/step*"))
        while process.poll() is None and max(killed.glob("checkpoints/step*"), default=0) == before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1))
        process.kill()
        assert process.wait() != 0, f"the run was over before kill {number}"
    assert start(corpus, pretrained, killed).wait() == 0
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert metrics(killed) == metrics(whole)
