"""A question of the evaluation: for whom, from which items, and what is right."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from apps.recommender.data.folder import DataFolder
from apps.recommender.evaluation.metrics import TOP, Quality, quality_of
from apps.recommender.models.ranking import best_items


@dataclass(frozen=True)
class Question:
    """Users with what is known of them, and what they liked later.

    Args:
        histories: The likes that are known, in the order of time.
        excluded: The items that are not recommended: known ones, and those that are not asked for, bool [users, items].
        wanted: The columns of the items that they liked later.
    """

    histories: list[list[str]]
    excluded: np.ndarray
    wanted: list[set[int]]

    def quality(self, scores: np.ndarray) -> Quality:
        """Measures the lists of the best scores, float32 [users, items]."""
        return quality_of(best_items(scores, self.excluded, TOP), self.wanted)


def validation_question(data: DataFolder) -> Question:
    """Which items do users like next? On the validation likes."""
    users = [user for user in data.split.users if user.validation and not user.is_new]
    return _question(
        data,
        [(user.train, user.seen_before_validation, user.validation) for user in users],
        hidden=data.split.new_items,
    )


def next_likes_question(data: DataFolder) -> Question:
    """Which items do users like next? On the test likes, without new items."""
    return _question(
        data,
        [(user.train + user.validation, user.seen, user.test) for user in data.split.users if not user.is_new],
        hidden=data.split.new_items,
    )


def new_items_question(data: DataFolder) -> Question:
    """Which of the new items do users like? On the test likes among them."""
    old = {item.id for item in data.items} - data.split.new_items
    return _question(
        data,
        [(user.train + user.validation, user.seen, user.test) for user in data.split.users if not user.is_new],
        hidden=old,
    )


def new_users_question(data: DataFolder) -> Question:
    """Which items do new users like, of whom two likes are known? Without new items."""
    return _question(
        data,
        [(user.train, user.seen, user.test) for user in data.split.users if user.is_new],
        hidden=data.split.new_items,
    )


def _question(
    data: DataFolder, users: Sequence[tuple[list[str], set[str], list[str]]], *, hidden: Collection[str]
) -> Question:
    histories: list[list[str]] = []
    excluded: list[np.ndarray] = []
    wanted: list[set[int]] = []
    out = np.zeros(len(data.items), bool)
    out[_places(data.place, hidden)] = True
    for history, seen, later in users:
        row = out.copy()
        row[_places(data.place, seen)] = True
        right = {data.place[item] for item in later if not row[data.place[item]]}
        if right and history:
            histories.append(history)
            excluded.append(row)
            wanted.append(right)
    return Question(histories, np.array(excluded, bool).reshape(-1, len(data.items)), wanted)


def _places(place: Mapping[str, int], items: Collection[str]) -> list[int]:
    return [place[item] for item in items if item in place]
