"""The scores of a fine-tuned model: numbers, scores of each class, confusions, reliability, the worst examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kbert.report.charts import line_chart
from kbert.report.page import Html, element, join, note, table

_MOST_LABELS = 60
"""A larger confusion matrix is unreadable; its largest entries are listed instead."""
_CONFUSIONS = 30


def scores_of(metrics: Mapping[str, Any]) -> list[Html]:
    """Makes tables and charts of the metrics of a task; values of an unknown form are left out.

    Args:
        metrics: Numbers by name; "per_class" {class: {score: number}}; "labels" and "confusion_matrix" with a row for
            each true class and a column for each predicted class; "reliability", the bins of
            kbert.tasks.metrics.calibration; "risk_coverage", a curve of kbert.tasks.metrics.selective;
            "worst_examples", a list of objects with the same keys.

    Returns:
        The parts of the page.
    """
    numbers = [(name.replace("_", " "), value) for name, value in metrics.items() if _is_number(value)]
    parts = [table(numbers)] if numbers else []
    classes = metrics.get("per_class")
    if isinstance(classes, Mapping) and classes:
        columns = list(dict.fromkeys(name for scores in classes.values() for name in scores))
        rows = [[label, *(scores.get(name) for name in columns)] for label, scores in classes.items()]
        parts += [element("h3", "Classes"), table(rows, header=["class", *columns])]
    labels, matrix = metrics.get("labels"), metrics.get("confusion_matrix")
    if labels and matrix and len(labels) == len(matrix):
        parts.append(element("h3", "Confusion matrix"))
        parts += _matrix(labels, matrix) if len(labels) <= _MOST_LABELS else _confusions(labels, matrix)
    if bins := metrics.get("reliability"):
        parts += [element("h3", "Reliability"), *_reliability(bins)]
    if curve := metrics.get("risk_coverage"):
        parts += [element("h3", "Answers that the model is sure of"), *_risk_coverage(curve)]
    if worst := metrics.get("worst_examples"):
        parts += [element("h3", "Worst examples"), _worst(worst)]
    return parts


def _reliability(bins: Sequence[Mapping[str, Any]]) -> list[Html]:
    confidences = [row["confidence"] for row in bins]
    series = {
        "accuracy": (confidences, [row["accuracy"] for row in bins]),
        "well calibrated": ([0.0, 1.0], [0.0, 1.0]),
    }
    rows = [
        (f"{row['from']:.2f} to {row['to']:.2f}", row["confidence"], row["accuracy"], row["examples"]) for row in bins
    ]
    return [
        note(
            "How often answers are right, by the probability that the model gives them. Below the straight line the "
            "model is overconfident."
        ),
        line_chart(series, title="Reliability", x_label="confidence"),
        table(rows, header=["confidence", "mean", "accuracy", "examples"]),
    ]


def _risk_coverage(curve: Sequence[Mapping[str, Any]]) -> list[Html]:
    coverages = [row["coverage"] for row in curve]
    rows = [(f"{row['coverage']:.1%}", f"{row['risk']:.2%}", row["confidence"]) for row in curve]
    return [
        note(
            "The part of wrong answers (the risk) if only the surest answers are given, by the part of the examples "
            "that is answered (the coverage)."
        ),
        line_chart(
            {"risk": (coverages, [row["risk"] for row in curve])}, title="Risk and coverage", x_label="coverage"
        ),
        table(rows, header=["coverage", "risk", "least probability"]),
    ]


def _worst(examples: Sequence[Mapping[str, Any]]) -> Html:
    columns = list(dict.fromkeys(name for example in examples for name in example))
    rows = [[_words(name, example.get(name)) for name in columns] for example in examples]
    return table(rows, header=[name.replace("_", " ") for name in columns])


def _words(name: str, value: Any) -> Any:
    if name == "line":  # a line number is not a count: no comma in it
        return str(value)
    return " | ".join(map(str, value)) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _matrix(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[Html]:
    header = element("tr", join(element("th", text) for text in ["true \\ predicted", *labels]))
    lines = []
    for label, row in zip(labels, matrix, strict=True):
        total = max(1, sum(row))
        cells = [
            element("td", count, class_="number", style=f"background:rgba(47,111,222,{0.7 * count / total:.3f})")
            for count in row
        ]
        lines.append(element("tr", join([element("th", label), *cells])))
    return [note("Shaded by the part of the true class."), element("table", join([header, *lines]))]


def _confusions(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[Html]:
    wrong = [
        (count, labels[true], labels[predicted])
        for true, row in enumerate(matrix)
        for predicted, count in enumerate(row)
        if true != predicted and count
    ]
    wrong.sort(key=lambda entry: -entry[0])
    rows = [(true, predicted, count) for count, true, predicted in wrong[:_CONFUSIONS]]
    return [
        note(f"{len(labels)} classes: the {len(rows)} most frequent confusions."),
        table(rows, header=["true", "predicted", "examples"]),
    ]
