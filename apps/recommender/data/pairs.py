"""Pairs of items that the same user liked, from which `kbert finetune embedding` learns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from apps.recommender.data.split import User
from apps.recommender.data.tables import Item

_NEAR = 10
"""The two items of a pair have at most this number of likes of the user between them."""


def draw_pairs(
    histories: Sequence[Sequence[str]], items: Mapping[str, Item], count: int, *, seed: int = 0
) -> list[tuple[str, str]]:
    """Draws pairs of texts.

    The first item of a pair is drawn from a user's likes, with a probability that falls with the square root of the
    number of users who like it: otherwise most pairs would be of items that everybody likes, which say little. Users
    have as many pairs as the square root of the number of their likes allows for.

    Args:
        histories: The likes of each user, in the order of time.
        items: The items by id.
        count: The number of pairs.
        seed: Determines the pairs.
    """
    rng = np.random.default_rng(seed)
    popularity = Counter(item for history in histories for item in history)
    usable = [list(history) for history in histories if len(set(history)) > 1]
    if not usable:
        return []
    weights = np.sqrt([len(history) for history in usable])
    pairs = []
    for number in rng.choice(len(usable), count, p=weights / weights.sum()):
        history = usable[number]
        rare = np.array([popularity[item] ** -0.5 for item in history])
        place = int(rng.choice(len(history), p=rare / rare.sum()))
        near = [
            other
            for other in range(max(0, place - _NEAR), min(len(history), place + _NEAR + 1))
            if history[other] != history[place]
        ]
        if near:
            other = history[int(rng.choice(near))]
            pairs.append((items[history[place]].text, items[other].text))
    return pairs


def training_histories(users: Sequence[User]) -> list[list[str]]:
    """Returns the likes that are learnt from, of users who are not new."""
    return [user.train for user in users if not user.is_new]


def validation_histories(users: Sequence[User]) -> list[list[str]]:
    """Returns the likes with which settings are chosen.

    If a user has only one such like, the last like that is learnt from comes before it, because a pair needs two items.
    """
    return [
        user.validation if len(user.validation) > 1 else [*user.train[-1:], *user.validation]
        for user in users
        if user.validation and not user.is_new
    ]
