"""The page about a quickstart: the accuracies first, then examples, then curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kbert
from kbert import files
from kbert.report.charts import bar_chart, line_chart
from kbert.report.page import Html, element, join, note, page, section, table
from kbert.report.run_folder import Run
from kbert.version import __version__

PRETRAINED, FINETUNED, FROM_SCRATCH = "pretrained", "finetuned", "finetuned-from-scratch"
"""The folders of the runs in the folder of the quickstart."""
REPORT = "report.html"
CONTESTANTS: Mapping[str, str] = {
    "accuracy": "pretrained BERT",
    "accuracy_without_pretraining": "the same without pretraining",
    "accuracy_tfidf": "TF-IDF and logistic regression",
    "majority_accuracy": "always the most frequent library",
}
"""Descriptions of the accuracies."""
_SHORT: Mapping[str, str] = {
    "accuracy": "pretrained BERT",
    "accuracy_without_pretraining": "not pretrained",
    "accuracy_tfidf": "TF-IDF",
    "majority_accuracy": "most frequent",
}
"""Names that fit below the bars of the chart."""
_EXAMPLES = 12


def write_quickstart_report(path: Path, accuracies: Mapping[str, float], test: Sequence[tuple[str, str]]) -> None:
    """Writes the page about a quickstart.

    Args:
        path: The page, in the folder of the quickstart.
        accuracies: The accuracies on the test examples by the names of CONTESTANTS.
        test: The test examples: texts and libraries.
    """
    folder = path.parent
    examples = list(test[:_EXAMPLES])
    answers = kbert.load(folder / FINETUNED).predict([text for text, _ in examples])
    files.write_text(
        path,
        page(
            "Which library does a docstring come from?",
            section("Result", *_result(accuracies, len(test))),
            section("Examples", *_examples(examples, answers)),
            section("Curves", *_curves(folder)),
            footer=f"kbert {__version__}",
        ),
    )


def _result(accuracies: Mapping[str, float], examples: int) -> list[Html]:
    best = max(accuracies, key=accuracies.__getitem__)
    return [
        element(
            "p",
            join(
                [
                    element("strong", f"{accuracies['accuracy']:.1%}", class_="figure"),
                    f" of {examples:,} docstrings are assigned to the right library by the fine-tuned BERT. They come "
                    "from modules that no model has seen. ",
                    "" if best == "accuracy" else f"Here {CONTESTANTS[best]} is better: minutes of training are few.",
                ]
            ),
        ),
        bar_chart(
            [_SHORT[name] for name in accuracies],
            [100 * value for value in accuracies.values()],
            title="Accuracy of the models",
            x_label="accuracy in %",
        ),
        table(
            [(CONTESTANTS[name], f"{value:.1%}") for name, value in accuracies.items()], header=["model", "accuracy"]
        ),
        note("All models learn from the same training examples, which are few on purpose."),
    ]


def _examples(examples: Sequence[tuple[str, str]], answers: Sequence[Mapping[str, Any]]) -> list[Html]:
    rows = []
    for (text, library), answer in zip(examples, answers, strict=True):
        right = answer["label"] == library
        given = answer["label"] if right else element("mark", answer["label"])
        rows.append((text, library, given, f"{max(answer['probabilities'].values()):.0%}"))
    return [
        note("The first test examples; wrong answers are marked."),
        table(rows, header=["docstring", "library", "answer", "probability"]),
    ]


def _curves(folder: Path) -> list[Html]:
    runs = {name: Run.load(folder / name) for name in (PRETRAINED, FINETUNED, FROM_SCRATCH) if (folder / name).is_dir()}
    parts: list[Html] = []
    for title, metric, names in (
        ("Loss of the masked language model in pretraining", "mlm_loss", (PRETRAINED,)),
        ("Accuracy on the validation examples in fine-tuning", "validation_accuracy", (FINETUNED, FROM_SCRATCH)),
    ):
        curves = {name: runs[name].curve(metric) for name in names if name in runs}
        if any(values for _, values in curves.values()):
            parts += [element("h3", title), line_chart(curves, title=title, x_label="step", smooth=True)]
    return parts
