"""The protocol of tasks whose answers NumPy can compute as well as a TensorFlow graph."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import numpy as np


class NumpyAnsweringTask(abc.ABC):
    """A task with one text, or one pair of texts, for each row, whose model has the method `numpy_heads`.

    The answers to a few texts are then computed without a TensorFlow graph, whose call alone takes a millisecond.
    """

    def prompted(self, text: str) -> str:
        """Returns a text of a request with the prompt of the task, as `AnsweringTask.add_prompts` does in a graph."""
        return text

    @abc.abstractmethod
    def numpy_answers(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the same arrays as `AnsweringTask.served_answers`; strings are bytes in an array of objects.

        Args:
            outputs: What the function of `numpy_heads` returned.
        """


def repeated_names(names: list[str], rows: int) -> np.ndarray:
    """Returns names in UTF-8 for each of some rows, bytes [B, C]."""
    return np.array([[name.encode("utf-8") for name in names]] * rows, object).reshape(rows, len(names))
