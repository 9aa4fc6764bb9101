"""The progress display on standard error: a bar on a terminal, and otherwise a line from time to time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from kbert.runtime.progress_bar import progress_bar

_LINE_SECONDS = 30.0
"""The time between two lines if standard error is not a terminal."""
_HIDDEN = ("seconds", "gradient_norm", "mlm_loss", "nsp_loss")
"""The metrics of training and validation that only metrics.jsonl shows, because a line has no room for them."""
_VALIDATION = "validation_"
_SHORT = {"learning_rate": "rate", "tokens_per_second": "tokens/s", "mfu": "MFU"}

Summary = Callable[[], str]


def describe(metrics: Mapping[str, float]) -> str:
    """Returns the main metrics as one readable line, with the validation metrics last."""
    shown = [name for name in metrics if name.removeprefix(_VALIDATION) not in _HIDDEN]
    shown.sort(key=lambda name: (name.startswith(_VALIDATION), name != "loss"))
    return "  ".join(f"{_name(name)} {_value(name, metrics[name])}" for name in shown)


def _name(name: str) -> str:
    return _SHORT.get(name) or name.replace("mlm", "MLM").replace("nsp", "NSP").replace("_", " ")


def _value(name: str, value: float) -> str:
    if name == "mfu" or name.endswith(("accuracy", "fill_rate")):
        return f"{value:.1%}"
    if name == "learning_rate":
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def describe_seconds(seconds: float) -> str:
    """Returns a time in its two largest units, such as "1 h 6 min" for 4,000 seconds."""
    whole = round(seconds)
    for size, unit, part_size, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part_size} {part}"
    return f"{whole} s"


@contextlib.contextmanager
def display(title: str, *, first: int, steps: int, summary: Summary) -> Iterator[Callable[[int], None]]:
    """Shows the progress of a run within a `with` block; yields a function that takes the number of steps done.

    Args:
        title: The title of the run.
        first: The number of steps that are already done.
        steps: The total number of steps.
        summary: A function that returns the text beside the progress, such as the metrics.
    """
    if sys.stderr.isatty():
        with progress_bar(title, "steps", total=steps, done=first, summary=summary) as update:
            yield update
    else:
        yield _lines(title, first, steps, summary)


def _lines(title: str, first: int, steps: int, summary: Summary) -> Callable[[int], None]:
    began = last = time.monotonic()

    def update(step: int) -> None:
        nonlocal last
        now = time.monotonic()
        if step > first and (now - last >= _LINE_SECONDS or step == steps):
            last = now
            left = describe_seconds((now - began) / (step - first) * (steps - step))
            parts = (f"{title}: step {step}/{steps}", summary(), f"{left} left")
            print("  ".join(part for part in parts if part), file=sys.stderr, flush=True)

    return update
