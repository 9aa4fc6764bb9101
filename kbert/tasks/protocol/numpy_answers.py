"""The protocol of tasks whose answers NumPy can compute as well as a TensorFlow graph."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

_DECIDING = ("encode", "build", "answer_outputs", "served_answers")
"""The methods of a task that the answers depend on."""


class NumpyAnsweringTask(abc.ABC):
    """A task with one text, or one pair of texts, for each row, whose model has the method `numpy_heads`.

    The answers to a few texts are then computed without a TensorFlow graph, whose call alone takes a millisecond.
    """

    answers_in_numpy: ClassVar[bool] = False
    """Whether `numpy_answers` fits the other methods. It is false for a subclass that overrides only those."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if any(name in vars(cls) for name in (*_DECIDING, "numpy_answers")):
            cls.answers_in_numpy = "numpy_answers" in vars(cls)

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
