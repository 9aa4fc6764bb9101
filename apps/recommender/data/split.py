"""Which ratings are learnt from, and which are predicted.

- Some users are *new*: nothing of them is learnt. Their first likes are given, and the others are predicted.
- Some items are *new*: none of their ratings is learnt. Only their texts are known.
- Of each other user, the last fifth of the likes is for testing, and the tenth before it for validation. Everything
  that the user rated before is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from apps.recommender.data.tables import Rating

NEW_USER_LIKES = 2
"""The number of likes of a new user that are given."""
_LEAST_LIKES = 5
"""The likes that a user needs in order to be tested."""
_TEST, _VALIDATION = 0.2, 0.1
_NEW_USERS, _NEW_ITEMS = 0.1, 0.1


@dataclass
class User:
    """What is known of a user, and what is predicted; ids of items, in the order of time.

    Args:
        id: The user.
        train: The likes that models learn from.
        validation: The likes after them, with which settings are chosen.
        test: The likes after those.
        seen: All items that were rated before the first of `test`, whether liked or not; they are not recommended.
        seen_before_validation: The same for `validation`.
        is_new: Whether nothing of the user is learnt; `train` has the given likes then.
    """

    id: str
    train: list[str] = field(default_factory=list)
    validation: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    seen_before_validation: set[str] = field(default_factory=set)
    is_new: bool = False


@dataclass(frozen=True)
class Split:
    """The users, and the new items."""

    users: list[User]
    new_items: frozenset[str]


def split_ratings(ratings: Sequence[Rating], items: Iterable[str], *, like_from: float, seed: int = 0) -> Split:
    """Splits ratings.

    Args:
        ratings: The ratings, in the order of time.
        items: The ids of all items; ratings of others are left out.
        like_from: The smallest rating that is a like.
        seed: Determines the new users and the new items.
    """
    rng = np.random.default_rng(seed)
    known = sorted(items)
    new_items = frozenset(str(item) for item in rng.choice(known, round(len(known) * _NEW_ITEMS), replace=False))
    by_user: dict[str, list[Rating]] = defaultdict(list)
    names = set(known)
    for rating in ratings:
        if rating.item in names:
            by_user[rating.user].append(rating)
    tested = sorted(user for user, own in by_user.items() if _likes(own, like_from) >= _LEAST_LIKES)
    new_users = {str(user) for user in rng.choice(tested, round(len(tested) * _NEW_USERS), replace=False)}
    users = []
    for name, own in by_user.items():
        likes = [rating for rating in own if rating.rating >= like_from]
        if name in new_users:
            first = next(place for place in range(len(own)) if _likes(own[: place + 1], like_from) == NEW_USER_LIKES)
            given = [rating.item for rating in likes[:NEW_USER_LIKES]]
            rest = [rating.item for rating in likes[NEW_USER_LIKES:] if rating.item not in new_items]
            users.append(User(name, given, [], rest, {rating.item for rating in own[: first + 1]}, set(), True))
        elif len(likes) < _LEAST_LIKES:
            users.append(User(name, [each.item for each in likes if each.item not in new_items]))
        else:
            users.append(_old_user(name, own, likes, new_items))
    return Split(users, new_items)


def _likes(ratings: Sequence[Rating], like_from: float) -> int:
    return sum(rating.rating >= like_from for rating in ratings)


def _old_user(name: str, own: Sequence[Rating], likes: Sequence[Rating], new_items: frozenset[str]) -> User:
    test = max(1, round(len(likes) * _TEST))
    validation = max(1, round(len(likes) * _VALIDATION))
    begin, middle = len(likes) - test - validation, len(likes) - test
    place = {id(rating): index for index, rating in enumerate(own)}
    before_validation = {rating.item for rating in own[: place[id(likes[begin])]]}
    before_test = {rating.item for rating in own[: place[id(likes[middle])]]}
    parts = likes[:begin], likes[begin:middle]
    train, chosen = ([each.item for each in part if each.item not in new_items] for part in parts)
    return User(name, train, chosen, [each.item for each in likes[middle:]], before_test, before_validation)
