"""The part of a report that needs the model: coloured worst examples, words that push labels, attention heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kbert import files
from kbert.errors import UsageError
from kbert.options import option_error
from kbert.prediction.explanation.class_words import PushingWord, class_words
from kbert.report.explanation import COLOURS, coloured_texts, text_columns
from kbert.report.page import Html, element, join, note, section, table
from kbert.report.run_folder import Run
from kbert.tasks.metrics.worst_examples import WORST_EXAMPLES

if TYPE_CHECKING:
    from kbert.prediction.explanation.attention_heads import HeadMeasures
    from kbert.prediction.predictor import Predictor

Progress = Callable[[int, int], object]
"""A function that is called with the number of texts that are done, and the number of all."""

_AT_ONCE = 8
_MOST_LABELS = 20
_HEAD_TEXTS = 32
"""The number of texts with which the attention heads are measured."""
_NO_EXPLANATION = (
    "Attention is no explanation: a model may give the same answer with other weights (arXiv 1902.10186). The map "
    "shows how the heads differ, and not why the model answers as it does. Each number is a mean over the tokens of "
    "{texts} texts."
)


def explained_runs(
    folders: Sequence[files.PathLike],
    runs: Sequence[Run],
    data: files.PathLike,
    rows: int,
    progress: Progress | None = None,
) -> list[Html]:
    """Makes the parts of a report that explain the answers of the models of runs; see `explained_run`.

    Raises:
        OptionError: A run has not ended, or is one of pretraining.
    """
    parts: list[Html] = []
    for folder, run in zip(folders, runs, strict=True):
        if not run.outcome or run.outcome.get("kind") == "pretraining":
            raise _unfinished(run)
        worst = run.worst.get(WORST_EXAMPLES) or run.outcome.get("metrics", {}).get(WORST_EXAMPLES) or []
        found = explained_run(folder, worst, data, rows, progress)
        parts += [section(f"Explanations of {run.name}"), *found] if len(runs) > 1 else found
    return parts


def _unfinished(run: Run) -> UsageError:
    return option_error(
        lambda spell: f"{spell('explain')} needs a finished run of `kbert finetune`. Received: {run.name}, {run.state}"
    )


def explained_run(
    folder: files.PathLike,
    worst: Sequence[Mapping[str, Any]],
    data: files.PathLike,
    rows: int,
    progress: Progress | None = None,
) -> list[Html]:
    """Makes the parts of a report that explain the answers of a run's model.

    Args:
        folder: The folder of the run.
        worst: The worst examples of the validation file, as in worst_examples.json.
        data: A labelled file.
        rows: The number of its texts that are explained.
        progress: Is called while texts are explained.

    Raises:
        UsageError: The answers of the task cannot be explained.
        DataError: The file is unreadable.
        BundleError: The run has not ended.
    """
    from kbert.prediction.explanation.attention_heads import attention_heads
    from kbert.prediction.explanation.explaining_graph import ExplainingGraph
    from kbert.prediction.loading import load

    model = load(folder)
    task: Any = model.task
    ExplainingGraph(model.text_model, "integrated-gradients")  # raises for tasks that are not explained
    sample = _sample(model, data, rows)
    shown = _explainable(task, worst)
    total = len(shown) + (0 if task.compares_vectors else len(next(iter(sample.values()))))
    done = 0

    def explained(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
        nonlocal done
        found = []
        for part in _batches(columns):
            found += model.explain(*part, batch_size=_AT_ONCE)
            done += len(part[0])
            if progress is not None:
                progress(done, total)
        return found

    parts = []
    if shown:
        columns = {text.name: [each[text.column] for each in shown] for text in task.explained_inputs}
        parts += _worst_examples(task, shown, explained(columns))
    if not task.compares_vectors:
        explanations = explained(sample)
        if explanations and "label" in explanations[0]:
            parts += _label_words(task, explanations, lowercase=model.tokenizer.settings.lowercase)
    kinds = {text.name: text for text in task.text_inputs}
    first = {name: values[:_HEAD_TEXTS] for name, values in sample.items()}
    heads = attention_heads(model.text_model, first, kinds, batch_size=_AT_ONCE)
    return [*parts, *_head_map(heads, len(next(iter(first.values()))))]


def _sample(model: Predictor, data: files.PathLike, rows: int) -> dict[str, list[Any]]:
    """Returns the inputs of rows of a file that are drawn at random, in the order of the file."""
    examples, _ = model.labelled_examples(data)
    drawn = np.sort(np.random.default_rng(0).permutation(len(examples))[:rows])
    return model.task.texts_of([examples[index] for index in drawn])


def _explainable(task: Any, worst: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the worst examples that hold all inputs of an explanation."""
    columns = [text.column for text in task.explained_inputs]
    return [each for each in worst if all(column in each for column in columns)]


def _batches(columns: Mapping[str, Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    values = list(columns.values())
    for start in range(0, len(values[0]), _AT_ONCE):
        yield [column[start : start + _AT_ONCE] for column in values]


def _worst_examples(
    task: Any, worst: Sequence[Mapping[str, Any]], explanations: Sequence[Mapping[str, Any]]
) -> list[Html]:
    columns = text_columns(task)
    inputs = {text.column for text in task.explained_inputs}
    parts: list[Html] = [
        note(
            f"The score of a word is its part of the {task.explained_as} that the model gives. {COLOURS} Texts are cut "
            "as in the table of worst examples."
        )
    ]
    for example, explanation in zip(worst, explanations, strict=True):
        facts = {name: value for name, value in example.items() if name not in inputs}
        parts.append(element("h3", "; ".join(f"{name} {_shown(value)}" for name, value in facts.items())))
        parts += coloured_texts(explanation, columns)
    return [section("Worst examples, explained", *parts)]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _label_words(task: Any, explanations: Sequence[Mapping[str, Any]], *, lowercase: bool) -> list[Html]:
    found = class_words(explanations, lowercase=lowercase)
    parts: list[Html] = [
        note(
            f"The sums of the scores of words, which are parts of the {task.explained_as}, over {len(explanations)} "
            "texts, each for the label that the model gives. In brackets: the mean score, and the number of texts."
        )
    ]
    rows = [
        [label, words.texts, join(_pushing(words.speak_for)), join(_pushing(words.speak_against))]
        for label, words in list(found.items())[:_MOST_LABELS]
    ]
    parts.append(table(rows, header=["label", "texts", "words for it", "words against it"]))
    if len(found) > _MOST_LABELS:
        parts.append(note(f"The {_MOST_LABELS} labels with the most texts, of {len(found)}."))
    return [section("Words that push the labels", *parts)]


def _pushing(words: Sequence[PushingWord]) -> Iterator[Html]:
    for word in words:
        line = [word.word, " ", element("small", f"{word.total:+.2f} ({word.mean:+.2f} × {word.texts})")]
        yield element("div", join(line))


def _head_map(heads: HeadMeasures, texts: int) -> list[Html]:
    titles = {
        "distance": ("Mean distance", "How many tokens away a token looks."),
        "entropy": (
            "Entropy",
            "How spread the attention of a token is, in bits; it is 0 if the token attends to a single one.",
        ),
        "to_separator": (
            "Attention to [SEP]",
            "The part of the attention that goes there. Heads that find nothing of theirs in a text look at it.",
        ),
    }
    parts: list[Html] = [note(_NO_EXPLANATION.format(texts=texts))]
    for field in dataclasses.fields(heads):
        title, meaning = titles[field.name]
        parts += [element("h3", title), note(meaning), _heat_map(getattr(heads, field.name))]
    return [section("Attention heads", *parts)]


def _heat_map(values: np.ndarray) -> Html:
    """Makes a table with a row for each layer and a column for each head, shaded by the value."""
    largest = float(values.max(initial=0.0)) or 1.0
    header = element("tr", join(element("th", text) for text in ["layer \\ head", *range(1, values.shape[1] + 1)]))
    lines = [
        element(
            "tr",
            join(
                [
                    element("th", layer),
                    *(
                        element(
                            "td",
                            f"{value:.2f}",
                            class_="number",
                            style=f"background:rgba(47,111,222,{0.6 * max(0.0, value) / largest:.3f})",
                        )
                        for value in map(float, row)
                    ),
                ]
            ),
        )
        for layer, row in enumerate(values, 1)
    ]
    return element("table", join([header, *lines]))
