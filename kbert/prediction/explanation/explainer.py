"""Explains the answers of a loaded model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.options import option_error
from kbert.prediction.explanation.explaining_graph import CHOICE, LABEL, ExplainingGraph
from kbert.prediction.options import ExplainOptions
from kbert.prediction.text_batches import answers_in_batches
from kbert.prediction.text_model import TextModel
from kbert.tasks.protocol.answering import TextInput


class Explainer:
    """A model that says which words its answers are due to.

    Args:
        text_model: The model from text to answers.
        options: The method, the label and the number of texts that are processed together.
        graphs: Graphs of the model by method, which are used again, and to which a new one is added. A graph takes
            seconds to make.

    Raises:
        UsageError: The answers of the task cannot be explained.
        OptionError: The model has no such label.
    """

    def __init__(
        self, text_model: TextModel, options: ExplainOptions, graphs: dict[str, ExplainingGraph] | None = None
    ) -> None:
        self._options = options
        graphs = {} if graphs is None else graphs
        if options.method not in graphs:
            graphs[options.method] = ExplainingGraph(text_model, options.method)
        graph = graphs[options.method]
        labels = getattr(text_model.task, "explained_labels", None)
        if options.label is not None and options.label not in (labels or ()):
            known = f"one of the labels {', '.join(labels)}" if labels else "left out, since the model has no labels"
            raise option_error(
                lambda spell: f"{spell('label')} must be {known:.500}. Received: {spell('label', options.label)}"
            )
        self._has_labels = labels is not None
        self.inputs: Sequence[TextInput] = graph.inputs
        """The texts that an explanation needs."""
        self._function = graph.from_text

    def explain(self, inputs: Mapping[str, Sequence[Any]], labels: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Returns an explanation for each text.

        Args:
            inputs: The texts by the names of `inputs`.
            labels: The label to explain for each text; by default that of the options.

        Returns:
            See `Predictor.explain`.
        """
        given = dict(inputs)
        if self._has_labels:
            count = len(next(iter(inputs.values())))
            given[LABEL] = [self._options.label or ""] * count if labels is None else list(labels)
        answers = answers_in_batches(self._function, given, self._options.batch_size)
        columns = [text.column for text in self.inputs]
        asked = list(zip(*inputs.values(), strict=True))
        return [
            {
                **dict(zip(columns, texts, strict=True)),
                **readable_explanation({name: values[index] for name, values in answers.items()}, columns),
            }
            for index, texts in enumerate(asked)
        ]


def readable_explanation(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Converts one row of `ExplainingGraph`, as NumPy arrays, to JSON values.

    Args:
        row: The outputs for one text.
        columns: The names of the texts, in the order of the inputs. Words of pairs have the name of their text.
    """
    answer = {LABEL: row[LABEL].decode("utf-8")} if LABEL in row else {"value": float(row["value"])}
    if CHOICE in row:
        answer = {CHOICE: row[CHOICE].decode("utf-8"), **answer}
    words = []
    for place in range(int(row["count"])):
        word = {
            "word": row["words"][place].decode("utf-8"),
            "start": int(row["starts"][place]),
            "end": int(row["ends"][place]),
            "score": float(row["scores"][place]),
        }
        words.append(word | ({"input": columns[row["inputs"][place]]} if len(columns) > 1 else {}))
    return {**answer, "words": words, "completeness_gap": float(np.float64(row["completeness_gap"]))}
