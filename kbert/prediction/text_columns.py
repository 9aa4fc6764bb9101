"""Checks the texts that a caller passes to a model, and sorts them by the inputs of the task."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kbert.errors import UsageError, shown
from kbert.tasks.factories import describe_inputs
from kbert.tasks.protocol.answering import AnsweringTask, TextInput


def texts_by_input(
    task: AnsweringTask[Any], columns: Sequence[Any], inputs: Sequence[TextInput] | None = None
) -> dict[str, list[Any]]:
    """Returns the texts for each input of a task, by the name of the input.

    Args:
        task: The task.
        columns: A sequence of texts for each input. Single strings instead of sequences are one row.
        inputs: The inputs; by default `task.text_inputs`.

    Raises:
        UsageError: The number of columns is not that of the task, columns have different lengths, or a value is not a
            text.
    """
    described = describe_inputs(task) if inputs is None else " and ".join(text.column for text in inputs)
    inputs = task.text_inputs if inputs is None else inputs
    if len(columns) != len(inputs):
        way = "leave out the second ones" if len(columns) > len(inputs) else "give the second ones too (--pair)"
        if getattr(task, "paired", True) is False:
            way += ", or load the model with paired=True if it is a classifier of pairs from another library"
        received = {1: "single texts", 2: "pairs of texts"}.get(len(columns), f"{len(columns)} columns")
        raise UsageError(f"this model answers for {described}; {way}. Received: {received}")
    if any(isinstance(column, str) and not text.is_list for text, column in zip(inputs, columns, strict=True)):
        columns = [[column] for column in columns]
    texts = [_as_list(column) for column in columns]
    for text, column in zip(inputs[1:], texts[1:], strict=True):
        if len(column) != len(texts[0]):
            raise UsageError(
                f"expected as many {text.column}s as {inputs[0].column}s. Received: {len(column)} and {len(texts[0])}"
            )
    for text, column in zip(inputs, texts, strict=True):
        for row, value in enumerate(column):
            if text.is_span:
                _check_span(value, texts[0][row], text.column)
            elif not _is_valid(value, text.is_list):
                wanted = f"a list of {text.column} for each row" if text.is_list else f"a text for each {text.column}"
                raise UsageError(f"expected {wanted}. Received: {shown(value)}")
    return {text.name: column for text, column in zip(inputs, texts, strict=True)}


def _as_list(column: Any) -> list[Any]:
    if isinstance(column, (str, bytes, Mapping, set, frozenset, os.PathLike)) or not isinstance(column, Iterable):
        raise UsageError(
            "expected a list of texts for each column, or one table: a data frame, or a list of dictionaries. "
            f"Received: {shown(column)}"
        )
    return list(column)


def _check_span(value: Any, text: Any, column: str) -> None:
    """Checks that a value is a span of a text.

    Raises:
        UsageError: It is not.
    """
    whole = isinstance(value, (list, tuple)) and len(value) == 2 and all(type(place) is int for place in value)
    if not whole or not 0 <= value[0] < value[1] <= len(text):
        raise UsageError(
            f"expected [start, end] as the {column} of a text, within its {len(text)} characters. "
            f"Received: {shown(value)}"
        )


def _is_valid(value: Any, is_list: bool) -> bool:
    """Returns whether a value is a text or, for inputs that are lists, a list of texts."""
    if not is_list:
        return isinstance(value, str)
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
