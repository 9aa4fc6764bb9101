"""Makes the Markdown tables of benchmarks/tasks.py from the cells in its file."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from task_table import BENCHMARKS

Cells = Mapping[str, Mapping[str, Any]]
"""The cells of a row, by contestant."""


def real_table(content: Mapping[str, Any]) -> str:
    """Returns the table of real weights, followed by a summary."""
    heads = ["data", "task", "metric", "rows: train / test", "kbert", "s", "best baseline", "as it is"]
    heads += ["transformers", "s", "transformers, like lengths", "s"]
    lines = _head(heads)
    won, known, level, peers = [], [], [], []
    for name, cells in _rows(content):
        best = best_baseline(cells)
        ours = _values(cells.get("kbert"))
        row = [*_begin(name, cells), *_seeded(cells.get("kbert")), f"{best[1]:.3f} ({best[0]})" if best else ""]
        untuned = cells.get("untuned")
        row.append(_number(untuned.get("value"), untuned) if untuned else "")
        lines.append(_line([*row, *_seeded(cells.get("transformers")), *_seeded(cells.get("transformers-grouped"))]))
        if best and ours:
            known.append(name)
            won += [name] if statistics.fmean(ours) > best[1] else []
        theirs = _values(cells.get("transformers"))
        if ours and theirs:
            peers.append(name)
            level += [name] if statistics.fmean(ours) + _deviation(ours) >= statistics.fmean(theirs) else []
    lines.append("")
    lines.append(f"kbert is above the best baseline in {len(won)} of {len(known)} rows{_others(won, known)}.")
    lines.append(
        f"kbert's mean with its standard deviation is at least the mean of transformers in {len(level)} of "
        f"{len(peers)} rows{_others(level, peers)}."
    )
    return "\n".join(lines)


def mini_table(content: Mapping[str, Any]) -> str:
    """Returns the table about pretraining."""
    lines = _head(
        ["data", "task", "metric", "rows: train / test", "epochs", "pretrained", "fresh", "best baseline", "first"]
    )
    for name, cells in _rows(content):
        best = best_baseline(cells)
        known = {one: cells[one]["value"] for one in ("pretrained", "fresh") if "value" in cells.get(one, {})}
        row = [*_begin(name, cells), f"{content['settings']['epochs'] * BENCHMARKS[name].epochs:g}"]
        row += [_number(known.get(one), cells.get(one, {})) for one in ("pretrained", "fresh")]
        row.append(f"{best[1]:.3f} ({best[0]})" if best else "")
        known |= {f"the baseline: {best[0]}": best[1]} if best else {}
        lines.append(_line([*row, max(known, key=lambda each: known[each]) if len(known) == 3 else ""]))
    return "\n".join(lines)


def best_baseline(cells: Cells) -> tuple[str, float] | None:
    """Returns the name and the metric of the best baseline on the test rows, or None if there is no baseline."""
    values: Mapping[str, float] = cells.get("baselines", {}).get("values", {})
    return max(values.items(), key=lambda item: item[1], default=None)


def _rows(content: Mapping[str, Any]) -> list[tuple[str, Cells]]:
    return [(name, content["cells"][name]) for name in BENCHMARKS if name in content["cells"]]


def _head(names: Sequence[str]) -> list[str]:
    return [_line(names), "|---" * len(names) + "|"]


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _begin(name: str, cells: Cells) -> list[str]:
    counts = next((cell for cell in cells.values() if "train_rows" in cell), None)
    rows = f"{counts['train_rows']:,} / {counts['test_rows']:,}" if counts else ""
    return [name, BENCHMARKS[name].task, BENCHMARKS[name].metric, rows]


def _values(cell: Mapping[str, Any] | None) -> list[float]:
    return [result["value"] for result in (cell or {}).get("seeds", {}).values()]


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _seeded(cell: Mapping[str, Any] | None) -> list[str]:
    """Returns two table cells: mean ± standard deviation over the seeds, and the mean seconds of a seed."""
    values = _values(cell)
    if cell is None or not values:
        return [_number(None, cell or {}), ""]
    shown = f"{statistics.fmean(values):.3f}" + (f" ± {_deviation(values):.3f}" if len(values) > 1 else "")
    seconds = statistics.fmean(result["seconds"] for result in cell["seeds"].values())
    return [shown, f"{seconds:.0f}"]


def _number(value: float | None, cell: Mapping[str, Any]) -> str:
    if value is not None:
        return f"{value:.3f}"
    return "failed" if "error" in cell else ""


def _others(some: Sequence[str], every: Sequence[str]) -> str:
    others = [name for name in every if name not in some]
    return f" (not in {', '.join(others)})" if others else ""
