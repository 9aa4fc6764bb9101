"""Recommendations for one user, with reasons."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from apps.recommender.data.folder import DataFolder
from apps.recommender.data.tables import Item
from apps.recommender.errors import RecommenderError
from apps.recommender.evaluation.choice import choose_settings
from apps.recommender.evaluation.fitted import HYBRID, TEXT, FittedModels, mapped_name
from apps.recommender.models.ranking import best_items, diverse_items

_CANDIDATES = 200


@dataclass(frozen=True)
class Recommendation:
    """An item, its score (comparable within a list), and the like that is nearest to it."""

    item: Item
    score: float
    reason: str


class Recommender:
    """The hybrid for known items, and the factors from texts for new ones, learnt from all likes.

    Args:
        data: The data.
        vectors: The vectors of the items, float32 [items, width].
    """

    def __init__(self, data: DataFolder, vectors: np.ndarray) -> None:
        self._data = data
        settings = choose_settings(data, vectors)
        histories = [user.train + user.validation + user.test for user in data.split.users]
        known = [[item for item in history if item not in data.split.new_items] for history in histories]
        self._models = FittedModels(known, data.items, {TEXT: vectors}, settings, TEXT)

    def recommend(
        self, history: Sequence[str], seen: Collection[str], *, top: int, diversity: float = 0.0, only_new: bool = False
    ) -> list[Recommendation]:
        """Returns the best items.

        Args:
            history: The likes of the user, in the order of time.
            seen: What else is not recommended.
            top: The number of items.
            diversity: From 0, the best scores, to 1, items that differ most.
            only_new: Whether only new items are recommended.

        Raises:
            RecommenderError: The user likes nothing.
        """
        if not history:
            raise RecommenderError("expected a user with at least one like. Received: one without; use --likes")
        place, new = self._data.place, self._data.split.new_items
        scores = self._models.scores([history])
        chosen = scores[mapped_name(TEXT) if only_new else HYBRID]
        excluded = np.array([(item.id in new) != only_new for item in self._data.items])
        excluded[[place[item] for item in {*history, *seen}]] = True
        content = self._models.contents[TEXT].vectors
        candidates = best_items(chosen, excluded[None], min(_CANDIDATES, int((~excluded).sum())))[0]
        rows = diverse_items(chosen[0, candidates], candidates, content, top, 1 - diversity)
        likes = [place[item] for item in history]
        nearest = (content[rows] @ content[likes].T).argmax(1)
        return [
            Recommendation(self._data.items[row], float(chosen[0, row]), f"near {self._data.items[likes[like]].title}")
            for row, like in zip(rows, nearest, strict=True)
        ]
