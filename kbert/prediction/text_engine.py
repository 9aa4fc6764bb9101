"""The protocol of what computes the answers to texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class TextEngine(Protocol):
    """What computes the answers to texts; see `TextModel`."""

    @property
    def from_text(self) -> Callable[..., Any]:
        """A function from the tensors of texts to the tensors of answers."""
        ...

    def without_prompts(self) -> Callable[..., Any]:
        """Returns a function like `from_text`, for texts that already have their prompts."""
        ...
