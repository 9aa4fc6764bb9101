"""What searches return: the places of texts, with scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np


class Hit(NamedTuple):
    """A text that was found.

    Args:
        place: The place of the text in the list that is searched.
        score: The similarity of both texts, at most 1.
    """

    place: int
    score: float


class Search(Protocol):
    """A search in a list of texts."""

    @property
    def name(self) -> str:
        """What the search compares, for people."""
        ...

    def __call__(self, texts: Sequence[str], top: int) -> list[list[Hit]]:
        """Returns the `top` nearest texts of each text, best first."""
        ...

    def reads(self, text: str) -> bool:
        """Returns whether the search knows at least half of the text."""
        ...


def best_hits(scores: np.ndarray, top: int) -> list[Hit]:
    """Returns the `top` largest of the scores [N], largest first; equal scores keep their order.

    Example:
        >>> import numpy as np
        >>> from apps.customer_service.hits import best_hits
        >>> [hit.place for hit in best_hits(np.array([0.1, 0.5, 0.5]), 2)]
        [1, 2]
    """
    return [Hit(int(place), float(scores[place])) for place in np.argsort(-scores, kind="stable")[:top]]
