"""The result of a fine-tuned model: its main metric with the confidence interval, beside a constant answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kbert.report.page import Html, element, join, note, section, table
from kbert.report.run_folder import Run


def results_of(runs: Sequence[Run]) -> list[Html]:
    """Returns the section about the main metrics of fine-tuned models; nothing if there is no such model.

    Args:
        runs: The runs, finished or not.
    """
    found = [(run, value) for run in runs if (value := _main_value(run.outcome)) is not None]
    if not found:
        return []
    parts: list[Html] = []
    if len(runs) == 1:
        parts.append(_figure(found[0][0].outcome, found[0][1]))
    else:
        header = ["run", "metric", "validation", "95 % interval", "a constant answer"]
        parts.append(table([_row(run, value) for run, value in found], header=header))
    if any("interval" in run.outcome["metrics"] for run, _ in found):
        parts.append(
            note(
                "The interval tells how much the metric would vary with other examples of the same kind (bootstrap). "
                "The weights were chosen by this metric, so it is a little too good; measure the model on examples "
                "that it has not seen with `kbert evaluate`."
            )
        )
    return [section("Result", *parts)]


def _main_value(outcome: Mapping[str, Any]) -> float | None:
    """Returns the main metric of a finished run."""
    metrics = outcome.get("metrics")
    value = metrics.get(outcome.get("main_metric")) if isinstance(metrics, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _figure(outcome: Mapping[str, Any], value: float) -> Html:
    interval, baseline = outcome["metrics"].get("interval"), outcome.get("baseline")
    name = outcome["main_metric"].replace("_", " ")
    parts = [element("strong", f"{value:.4g}", class_="figure"), f" {name} on the validation examples"]
    if interval:
        parts.append(f"; 95 % confidence interval {interval['low']:.4g} to {interval['high']:.4g}")
    if baseline:
        parts.append(f". A model that {baseline['answer']} has {baseline['value']:.4g}")
    return element("p", join([*parts, "."]))


def _row(run: Run, value: float) -> list[Any]:
    interval, baseline = run.outcome["metrics"].get("interval"), run.outcome.get("baseline")
    return [
        run.name,
        run.outcome["main_metric"].replace("_", " "),
        value,
        f"{interval['low']:.4g} to {interval['high']:.4g}" if interval else None,
        f"{baseline['value']:.4g} ({baseline['answer']})" if baseline else None,
    ]
