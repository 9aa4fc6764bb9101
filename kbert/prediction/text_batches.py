"""Runs functions from texts to tensors on many texts, in batches of texts of similar length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from kbert.errors import UsageError
from kbert.tasks.protocol.training_rows import as_strings


class InputKind(Protocol):
    """What makes a tensor of the values of an input, such as a `TextInput`."""

    def tensor(self, values: Sequence[Any]) -> Any:
        """Returns the values of some rows as a tensor."""
        ...


def answers_in_batches(
    function: Callable[..., Any],
    inputs: Mapping[str, Sequence[Any]],
    batch_size: int,
    kinds: Mapping[str, InputKind] | None = None,
) -> dict[str, np.ndarray]:
    """Returns the outputs of a function for texts, as arrays with a row for each text in the order of the texts.

    Rows of different batches are padded with 0 or "" to the largest shape.

    Args:
        function: A function from a tensor for each input to a dict of tensors or arrays with a row for each text.
        inputs: The values of each input, in the order of the arguments of `function`.
        batch_size: The number of texts that are processed together.
        kinds: The inputs of the task by name; by default all inputs are texts or lists of texts.

    Raises:
        UsageError: `batch_size` is less than 1.
    """
    if batch_size < 1:
        raise UsageError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    columns = list(inputs.values())
    if not columns[0]:
        return {}
    tensors = [as_strings if kinds is None else kinds[name].tensor for name in inputs]
    # Texts of similar length form a batch, since a batch is padded to its longest text.
    order = np.argsort([sum(map(_size, row)) for row in zip(*columns, strict=True)], kind="stable")
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        outputs = function(
            *(tensor([column[row] for row in rows]) for tensor, column in zip(tensors, columns, strict=True))
        )
        parts.append({name: np.asarray(value) for name, value in outputs.items()})
    back = np.argsort(order, kind="stable")
    return {name: _joined([part[name] for part in parts])[back] for name in parts[0]}


def _size(value: str | int | Sequence[Any]) -> int:
    """Returns the number of characters of a text or of a list of texts; 0 for spans and numbers."""
    if isinstance(value, int):
        return 0
    return len(value) if isinstance(value, str) else sum(len(each) for each in value if isinstance(each, str))


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the concatenation of arrays, padded with 0 or "" to the largest shape."""
    largest = np.max([part.shape[1:] for part in parts], axis=0)
    padded = []
    for part in parts:
        width = [(0, 0), *((0, int(most - size)) for most, size in zip(largest, part.shape[1:], strict=True))]
        padded.append(np.pad(part, width, constant_values=b"" if part.dtype == object else 0))
    return np.concatenate(padded)
