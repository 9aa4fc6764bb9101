"""Measures a LiteRT file: its size, its latency and memory by number of threads, and what XNNPACK does not compute."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.inference.litert_benchmark.child_process import ask_child
from kbert.inference.litert_benchmark.options import BenchLitertOptions
from kbert.inference.litert_benchmark.shapes import fixed_shape
from kbert.options import option_error, with_options

_IDENTIFIER = b"TFL3"
_STRUCTURE = "kbert.inference.litert_benchmark.structure"
_TIMING = "kbert.inference.litert_benchmark.timing"
_THREADS = (1, 2, 4)


@dataclasses.dataclass(frozen=True)
class LitertLatency:
    """The latency and the memory of a LiteRT model with one number of threads.

    Args:
        threads: The number of threads of a computation.
        runs: The number of computations that were measured.
        p50_ms: The median of their times, in milliseconds.
        p90_ms: The 90th percentile of their times, in milliseconds.
        peak_memory: The peak memory in bytes of a process that does nothing else; None where the system does not tell.
        memory_before: The part of it that was there before the file was opened: Python, NumPy and LiteRT.
    """

    threads: int
    runs: int
    p50_ms: float
    p90_ms: float
    peak_memory: int | None
    memory_before: int | None


@dataclasses.dataclass(frozen=True)
class LitertSignature:
    """The measurements of one signature of a LiteRT file.

    Args:
        inputs: The shapes of the inputs that were given, by name.
        operations: The number of operations.
        partitions: The number of groups of operations that XNNPACK computes.
        outside: The numbers of operations outside of these groups, by name, such as {"GATHER": 2}.
        latencies: The latency for each number of threads.
    """

    inputs: Mapping[str, Sequence[int]]
    operations: int
    partitions: int
    outside: Mapping[str, int]
    latencies: Sequence[LitertLatency]


@dataclasses.dataclass(frozen=True)
class LitertBenchmark:
    """The measurements of a LiteRT file.

    Args:
        size: The size of the file in bytes.
        weights: The bytes of weights and other constants by dtype, such as {"int8": 22713216, "float32": 230400}.
        other: The bytes of everything else: the graph, names, quantization scales, metadata and associated files.
        signatures: The measurements of each signature, by name.
    """

    size: int
    weights: Mapping[str, int]
    other: int
    signatures: Mapping[str, LitertSignature]


@with_options(BenchLitertOptions)
def bench_litert(file: files.PathLike, *, options: BenchLitertOptions) -> LitertBenchmark:
    """Measures a LiteRT (TFLite) file on this machine, with inputs that are as long as the file allows.

    Each signature and each number of threads has a process of its own, in which ai-edge-litert runs the model without
    TensorFlow. Any LiteRT file can be measured, not only those of kbert.

    Args:
        file: The .tflite file.
        options: All of these options in one object.

    Returns:
        The measurements.

    Raises:
        UsageError: An option is invalid, the file does not exist, or ai-edge-litert is not installed.
        DataError: The file is not a LiteRT model, or LiteRT cannot run it.

    Example:
        >>> path = kbert.export_litert("RUN", output="films.tflite")
        >>> benchmark = kbert.bench_litert(path, threads=[1], runs=20)
        >>> benchmark.size == path.stat().st_size
        True
        >>> list(benchmark.weights)[0]
        'float32'
    """
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"expected a .tflite file. Received: {path}, which does not exist")
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise UsageError("to measure a LiteRT file, kbert needs ai-edge-litert: pip install ai-edge-litert")
    with path.open("rb") as handle:
        if handle.read(8)[4:] != _IDENTIFIER:
            raise DataError("expected a LiteRT model (.tflite). Received: a file in another format", path)
    request = {
        "path": os.fspath(path.absolute()),
        "signature": options.signature,
        "sequence_length": options.sequence_length,
    }
    structure = ask_child(_STRUCTURE, request, path)
    chosen = _chosen(structure["signatures"], options)
    size = path.stat().st_size
    return LitertBenchmark(
        size,
        structure["weights"],
        size - sum(structure["weights"].values()),
        {name: _measure(path, name, each, structure["has_signatures"], options) for name, each in chosen.items()},
    )


def _chosen(signatures: Mapping[str, Any], options: BenchLitertOptions) -> dict[str, Any]:
    """Returns the signatures to measure, with the shapes of their inputs.

    Raises:
        OptionError: There is no such signature; or the options and the file together do not say the shapes.
    """
    name = options.signature
    if name is not None and name not in signatures:
        names = ", ".join(signatures)
        raise option_error(
            lambda spell: f"{spell('signature')} must be one of {names}. Received: {spell('signature', name)}"
        )
    chosen = dict(signatures) if name is None else {name: signatures[name]}
    # A dict, since several signatures may have the same inputs.
    unknown = dict.fromkeys(
        f"{input_name} [{', '.join('?' if size == -1 else str(size) for size in each['shape'])}]"
        for signature in chosen.values()
        for input_name, each in signature["inputs"].items()
        if -1 in each["shape"]
    )
    if unknown and options.sequence_length is None:
        raise option_error(
            lambda spell: (
                f"expected inputs of fixed shapes, or {spell('sequence_length')}. Received: {', '.join(unknown)}; add "
                f"{spell('sequence_length', 128)}"
            )
        )
    if not unknown and options.sequence_length is not None:
        raise option_error(
            lambda spell: (
                f"{spell('sequence_length')} is for inputs whose shapes the file does not fix. Received: "
                f"{spell('sequence_length', options.sequence_length)} for a file that fixes them; leave it out"
            )
        )
    return chosen


def _measure(
    path: Path, name: str, signature: Mapping[str, Any], has_signatures: bool, options: BenchLitertOptions
) -> LitertSignature:
    """Measures one signature with each number of threads."""
    inputs = {
        input_name: {**each, "shape": fixed_shape(each["shape"], options.sequence_length)}
        for input_name, each in signature["inputs"].items()
    }
    latencies = []
    cores = os.cpu_count() or 1
    for threads in options.threads or [each for each in _THREADS if each <= cores]:
        request = {
            "path": os.fspath(path.absolute()),
            "signature": name if has_signatures else None,
            "inputs": inputs,
            "threads": threads,
            "runs": options.runs,
            "seconds": options.seconds,
        }
        latencies.append(LitertLatency(threads=threads, **ask_child(_TIMING, request, path)))
    operations = signature["operations"]
    return LitertSignature(
        {input_name: each["shape"] for input_name, each in inputs.items()},
        operations["total"],
        operations["partitions"],
        operations["outside"],
        latencies,
    )
