"""Runs contestants in their own processes, in turns, so that other load on the machine affects all of them alike.

A contestant is a script. It prints one line of JSON when it is ready. Then it runs a round for each line on its
standard input, and prints one line of JSON with the results of the round.
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
"""The environment variables that the `kbert` program sets if they help (kbert/runtime/)."""


def start(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Starts a contestant; its first `answer` means that it is ready.

    Args:
        command: The command line of the contestant.
        environment: Additional environment variables. PROGRAM_SETTINGS are not inherited from this process.
    """
    # Imported here, because contestants import this module, and not all of them import kbert.
    from kbert.runtime.onednn import amx_is_broken

    inherited = {name: value for name, value in os.environ.items() if name not in PROGRAM_SETTINGS}
    settings = {**inherited, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})}
    if amx_is_broken():  # PyTorch's oneDNN reads the same variable
        settings.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    return subprocess.Popen(command, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> dict[str, float] | None:
    """Returns the next line of JSON that a contestant prints, or None if it has ended."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):  # libraries may print other lines
            values: dict[str, float] = json.loads(line)
            return values
    return None


def take_turns(processes: Mapping[str, subprocess.Popen[str]], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Runs the rounds of all contestants in turn, ends their processes, and returns the results by contestant.

    A contestant that ends early, for example because memory is exhausted, is left out with a message.
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
    """Lets a contestant run a round; returns its results, or None if it has ended."""
    assert process.stdin is not None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    return answer(process)


def serve_rounds(step: Callable[[], Any], steps: int, peak: Callable[[], float]) -> None:
    """Runs a contestant: a warm-up step, then a round of `steps` steps for each line on standard input.

    The results of a round are the `seconds` and the `cpu_seconds` (of all threads) per step, and the matrix peak, which
    is measured after the steps.

    Args:
        step: Runs one step.
        steps: The number of steps of a round.
        peak: Measures the matrix peak in operations per second.
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
    """Returns the operations per second of the fastest of several products of two square matrices.

    Args:
        product: Computes one product.
        size: The number of rows and columns of the matrices.
    """
    product()
    fastest = float("inf")
    for _ in range(8):
        began = time.perf_counter()
        product()
        fastest = min(fastest, time.perf_counter() - began)
    return 2.0 * size**3 / fastest
