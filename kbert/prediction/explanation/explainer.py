"""Explains the answers of a loaded model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.errors import UsageError
from kbert.options import option_error
from kbert.prediction.explanation.explaining_graph import NO_CHOICE, ExplainingGraph
from kbert.prediction.options import ExplainOptions
from kbert.prediction.text_batches import answers_in_batches
from kbert.prediction.text_model import TextModel
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import ANSWERS, LABEL, SENTENCE, SPAN


class _Indices:
    """Makes a tensor of the indices of sentences."""

    @staticmethod
    def tensor(values: Sequence[int]) -> tf.Tensor:
        """Returns the values, int32 [B]."""
        return tf.constant(values, tf.int32)


_CHOICES: Mapping[str, Any] = {
    LABEL: TextInput(LABEL, LABEL),
    SPAN: TextInput(SPAN, SPAN, is_span=True),
    SENTENCE: _Indices,
}


class Explainer:
    """A model that says which words its answers are due to.

    Args:
        text_model: The model from text to answers.
        options: The method, what is explained, and the number of texts that are processed together.
        graphs: Graphs of the model by method, which are used again, and to which a new one is added. A graph takes
            seconds to make.

    Raises:
        UsageError: The answers of the task cannot be explained.
        OptionError: The model has no such label, or no spans or sentences.
    """

    def __init__(
        self, text_model: TextModel, options: ExplainOptions, graphs: dict[str, ExplainingGraph] | None = None
    ) -> None:
        self._options = options
        graphs = {} if graphs is None else graphs
        if options.method not in graphs:
            graphs[options.method] = ExplainingGraph(text_model, options.method)
        graph = graphs[options.method]
        task: Any = text_model.task
        for name in NO_CHOICE:
            if name not in task.caller_choices and getattr(options, name) is not None:
                raise _not_chosen(name, getattr(options, name), task.name)
        labels = task.explained_labels
        if options.label is not None and options.label not in labels:
            raise option_error(
                lambda spell: (
                    f"{spell('label')} must be one of the labels {', '.join(labels):.500}. "
                    f"Received: {spell('label', options.label)}"
                )
            )
        self._choices = {
            name: none if getattr(options, name) is None else getattr(options, name)
            for name, none in NO_CHOICE.items()
            if name in task.caller_choices
        }
        self.inputs: Sequence[TextInput] = graph.inputs
        """The inputs that an explanation needs."""
        self._function = graph.from_text

    def explain(self, inputs: Mapping[str, Sequence[Any]], labels: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Returns an explanation for each text.

        Args:
            inputs: The inputs by the names of `inputs`.
            labels: The label to explain for each text; by default that of the options.

        Returns:
            See `Predictor.explain`.

        Raises:
            OptionError: A text has no such span or sentence.
        """
        asked = list(zip(*inputs.values(), strict=True))
        self._check_span([row[-1] for row in asked])
        self._check_sentence([row[0] for row in asked])
        given = {**inputs, **{name: [value] * len(asked) for name, value in self._choices.items()}}
        if labels is not None:
            given[LABEL] = list(labels)
        kinds = {**{text.name: text for text in self.inputs}, **_CHOICES}
        answers = answers_in_batches(self._function, given, self._options.batch_size, kinds)
        columns = [text.column for text in self.inputs]
        rows = [{name: values[index] for name, values in answers.items()} for index in range(len(asked))]
        found = [
            {**dict(zip(columns, texts, strict=True)), **readable_explanation(row, self.inputs)}
            for texts, row in zip(asked, rows, strict=True)
        ]
        self._check_found(found)
        return found

    def _check_span(self, texts: Sequence[Any]) -> None:
        """Checks that all texts have the chosen span."""
        span = self._options.span
        if span is None:
            return
        shortest = min(map(len, texts), default=0)
        if not 0 <= span[0] < span[1] <= shortest:
            raise option_error(
                lambda spell: (
                    f"{spell('span')} must be a part of the text: at least one character within its {shortest}. "
                    f"Received: {spell('span', span)}"
                )
            )

    def _check_sentence(self, documents: Sequence[Any]) -> None:
        """Checks that all documents have the chosen sentence."""
        sentence = self._options.sentence
        if sentence is None:
            return
        fewest = min((sum(map(bool, document)) for document in documents), default=0)
        if sentence >= fewest:
            raise option_error(
                lambda spell: (
                    f"{spell('sentence')} must be the index of a sentence, from 0 to {fewest - 1}. "
                    f"Received: {spell('sentence', sentence)}"
                )
            )

    def _check_found(self, explanations: Sequence[Mapping[str, Any]]) -> None:
        """Checks that the chosen span has words whose answer can be explained."""
        span = self._options.span
        if span is None:
            return
        for each in explanations:
            if not each.get(LABEL, each.get("answer")):
                raise option_error(
                    lambda spell: (
                        f"{spell('span')} must hold a word of the text, and a mask for a pretrained model. "
                        f"Received: {spell('span', span)}"
                    )
                )


def _not_chosen(name: str, value: Any, task: str) -> UsageError:
    """Returns the error for a choice that the models of a task do not have."""
    return option_error(
        lambda spell: (
            f"{spell(name)} must be left out, since the answers of a model for {task} have no {name} to choose. "
            f"Received: {spell(name, value)}"
        )
    )


def readable_explanation(row: Mapping[str, Any], inputs: Sequence[TextInput]) -> dict[str, Any]:
    """Converts one row of `ExplainingGraph`, as NumPy arrays, to JSON values.

    Args:
        row: The outputs for one text.
        inputs: The inputs of the explanation. Words of pairs have the name of their text as "input", and words of
            several sentences the index of their "sentence".
    """
    answer = {name: _plain(row[name]) for name in ANSWERS if name in row}
    columns = [text.column for text in inputs if not text.is_span]
    words = []
    for place in range(int(row["count"])):
        word: dict[str, Any] = {
            "word": row["words"][place].decode("utf-8"),
            "start": int(row["starts"][place]),
            "end": int(row["ends"][place]),
            "score": float(row["scores"][place]),
        }
        if SENTENCE in row:
            word[SENTENCE] = int(row["inputs"][place])
        elif len(columns) > 1:
            word["input"] = columns[row["inputs"][place]]
        words.append(word)
    return {**answer, "words": words, "completeness_gap": float(np.float64(row["completeness_gap"]))}


def _plain(value: Any) -> str | int | float:
    """Returns a value of an array as a text or a number."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return int(value) if np.issubdtype(type(value), np.integer) else float(value)
