"""Corpus building: speed, and the peak memory of the largest process, at several sizes.

    python benchmarks/corpus.py [--data FOLDER] [--megabytes 8 32] [--workers 1 2] [--json FILE]

Text is en_wikipedia.txt, cut or repeated to the size. The original create_pretraining_data.py does
0.85 MB/s at duplication 1 in one process, measured on a machine of two cores; it is not run here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ORIGINAL = 0.85


def main() -> None:
    """Runs the contestants and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--megabytes", default=[8, 32], type=int, nargs="+")
    parser.add_argument("--workers", default=[1, 2], type=int, nargs="+")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    source = (arguments.data / "corpus" / "en_wikipedia.txt").read_bytes()
    rows = []
    print(f"{'MB':>5} {'workers':>7} {'seconds':>8} {'MB/s':>6} {'x original':>10} {'peak MB of a process':>21}")
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder, "vocab.txt")
        _kbert("vocab", "train", arguments.data / "corpus" / "en_wikipedia.txt", "--size", 8192, "--output", vocabulary)
        for megabytes in arguments.megabytes:
            text = Path(folder, "text.txt")
            wanted = megabytes * 1_000_000
            text.write_bytes((source * (wanted // len(source) + 1))[:wanted].decode(errors="ignore").encode())
            for workers in arguments.workers:
                output = Path(folder, f"corpus-{megabytes}-{workers}")
                command = ("corpus", "build", text, "--vocab", vocabulary, "--output", output, "--workers", workers)
                seconds, peak = _kbert(*command)
                speed = megabytes / seconds
                rows.append({"megabytes": megabytes, "workers": workers, "seconds": seconds, "peak_megabytes": peak})
                print(f"{megabytes:5} {workers:7} {seconds:8.2f} {speed:6.2f} {speed / ORIGINAL:10.1f} {peak:21.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


def _kbert(*arguments: object) -> tuple[float, float]:
    """Runs a command; gives its seconds and the largest peak of resident memory among its processes, MB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "kbert", *map(str, arguments)], stderr=subprocess.DEVNULL)
    root = psutil.Process(process.pid)
    peak = 0
    while process.poll() is None:
        for member in [root, *_children(root)]:
            try:
                peak = max(peak, member.memory_info().rss)
            except psutil.Error:
                continue
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"kbert {' '.join(map(str, arguments))} failed")
    return time.perf_counter() - began, peak / 1e6


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


if __name__ == "__main__":
    main()
