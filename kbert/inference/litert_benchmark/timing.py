"""A child process that runs a LiteRT model, and measures its latency and the memory of the process.

    python -m kbert.inference.litert_benchmark.timing < request.json

The request has the `path`, the `signature` (None for a file without signatures), the `inputs` with `dtype`, `shape` and
`rows` by name, the number of `threads`, and the number of `runs` or the `seconds` of measuring.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kbert.inference.litert_benchmark.child_process import answer_parent
from kbert.inference.litert_benchmark.values import made_up_values

WARM_UP_RUNS = 3
"""The first computations allocate memory and pack weights."""
MINIMUM_RUNS = 10


def measure(request: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a LiteRT model repeatedly, and returns its latency and memory, as JSON.

    Args:
        request: See the docstring of this module.

    Returns:
        The number of `runs`; `p50_ms` and `p90_ms`, the median and the 90th percentile of the time of a computation in
        milliseconds; and `memory_before` and `peak_memory`, the peak memory of the process in bytes before the file was
        opened and at the end, or None where the system does not tell.

    Raises:
        ValueError: The file is not a LiteRT model.
        RuntimeError: LiteRT cannot run it.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    values = {
        name: made_up_values(name, each["dtype"], each["shape"], each["rows"])
        for name, each in request["inputs"].items()
    }
    memory_before = peak_memory()
    interpreter = Interpreter(model_path=str(request["path"]), num_threads=request["threads"])
    compute = _computation(interpreter, request["signature"], values)
    for _ in range(WARM_UP_RUNS):
        compute()
    times: list[float] = []
    ends = time.perf_counter() + request["seconds"]
    while len(times) < (request["runs"] or MINIMUM_RUNS) or (not request["runs"] and time.perf_counter() < ends):
        began = time.perf_counter()
        compute()
        times.append(time.perf_counter() - began)
    p50, p90 = np.percentile(times, [50, 90])
    return {
        "runs": len(times),
        "p50_ms": 1e3 * float(p50),
        "p90_ms": 1e3 * float(p90),
        "memory_before": memory_before,
        "peak_memory": peak_memory(),
    }


def _computation(interpreter: Any, signature: str | None, values: Mapping[str, Any]) -> Callable[[], Any]:
    """Returns a function that gives the values to the model, and computes its outputs."""
    if signature is not None:
        runner = interpreter.get_signature_runner(signature)
        return lambda: runner(**values)
    places = {each["name"]: each["index"] for each in interpreter.get_input_details()}
    for name, value in values.items():
        interpreter.resize_tensor_input(places[name], value.shape)
    interpreter.allocate_tensors()
    outputs = [each["index"] for each in interpreter.get_output_details()]

    def compute() -> list[Any]:
        for name, value in values.items():
            interpreter.set_tensor(places[name], value)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return compute


def peak_memory() -> int | None:
    """Returns the peak of the memory of this process in bytes, or None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, ru_maxrss would include the memory of the parent, of which this process began as a copy.
        line = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if line is not None:
            return 1024 * int(line.split()[1])
    if sys.platform == "darwin":
        import resource

        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return None


if __name__ == "__main__":
    answer_parent(measure)
