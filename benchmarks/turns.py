"""Contestants in processes of their own that take turns, so that whatever else the machine does falls on all alike.

A contestant is a script started with a name: it says one line of JSON when it is ready, and then, for each line on its
standard input, one line of JSON about the round that it ran.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
PROGRAM_SETTINGS = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "TF_ENABLE_ONEDNN_OPTS": "1"}
"""What the `kbert` program sets where it helps (kbert/runtime/), and nobody else does."""


def start(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Starts a contestant; its first `answer` tells that it is ready.

    It inherits no PROGRAM_SETTINGS: importing kbert.training has put one of them into this process.
    """
    # Imported here, since contestants import this module, and not all of them shall have that setting.
    from kbert.runtime.onednn import amx_is_broken

    inherited = {name: value for name, value in os.environ.items() if name not in PROGRAM_SETTINGS}
    settings = {**inherited, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})}
    if amx_is_broken():  # PyTorch's oneDNN listens to the same variable
        settings.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    return subprocess.Popen(command, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> dict[str, float] | None:
    """The next line that a contestant prints; None when it has ended."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):  # libraries print, too
            values: dict[str, float] = json.loads(line)
            return values
    return None


def take_turns(processes: Mapping[str, subprocess.Popen[str]], rounds: int) -> dict[str, list[dict[str, float]]]:
    """The rounds of all contestants, one after the other; then they are told to end.

    One that ends before, as when memory is short, is left out with a line that says so.
    """
    results: dict[str, list[dict[str, float]]] = {name: [] for name in processes}
    for _ in range(rounds):
        for name in list(results):
            outcome = _round(processes[name])
            if outcome is None:
                print(f"{name}: ended with {processes[name].wait()}, left out", file=sys.stderr)
                del results[name]
            else:
                results[name].append(outcome)
    for name in results:
        processes[name].communicate()
    return results


def _round(process: subprocess.Popen[str]) -> dict[str, float] | None:
    """Lets a contestant run a round; None when it has ended."""
    assert process.stdin is not None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    return answer(process)


def serve_rounds(step: Callable[[], Any], steps: int, peak: Callable[[], float]) -> None:
    """What a contestant does: a step to warm up, then rounds of `steps` steps, for each line on standard input.

    A round's answer is `seconds` and `cpu_seconds`, those of all threads, a step; and `peak`, measured then.
    """
    step()
    print(json.dumps({"ready": 1}), flush=True)
    for _ in sys.stdin:
        began, cpu_began = time.perf_counter(), time.process_time()
        for _ in range(steps):
            step()
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        round_ = {"seconds": seconds / steps, "cpu_seconds": cpu_seconds / steps, "peak": peak()}
        print(json.dumps(round_), flush=True)


def matrix_peak(product: Callable[[], Any], size: int) -> float:
    """Operations a second of the fastest of many products of two square matrices of `size`."""
    product()
    fastest = float("inf")
    for _ in range(8):
        began = time.perf_counter()
        product()
        fastest = min(fastest, time.perf_counter() - began)
    return 2.0 * size**3 / fastest
