"""The folder that `prepare` writes and the other commands read."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from apps.recommender.data.pairs import draw_pairs, training_histories, validation_histories
from apps.recommender.data.split import Split, User, split_ratings
from apps.recommender.data.tables import Item, read_items, read_ratings
from apps.recommender.errors import RecommenderError

ITEMS_FILE, SPLIT_FILE = "items.json", "split.json"
PAIRS_FILE, VALIDATION_PAIRS_FILE = "pairs.csv", "pairs-validation.csv"


class DataFolder:
    """Items and users, as `prepare_folder` wrote them.

    Args:
        path: The folder.

    Raises:
        RecommenderError: It is not such a folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            items = json.loads((path / ITEMS_FILE).read_text(encoding="utf-8"))
            split = json.loads((path / SPLIT_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise RecommenderError(
                f"expected a folder that the command prepare wrote. Received: {path}, without {ITEMS_FILE} or "
                f"{SPLIT_FILE}"
            ) from None
        self.items = [Item(each["id"], each["title"], tuple(each["genres"])) for each in items]
        self.place = {item.id: place for place, item in enumerate(self.items)}
        self.split = Split([_user_of(values) for values in split["users"]], frozenset(split["new_items"]))

    def user(self, name: str) -> User:
        """Returns a user.

        Raises:
            RecommenderError: There is no such user.
        """
        for user in self.split.users:
            if user.id == name:
                return user
        raise RecommenderError(f"expected a user of {self.path}. Received: {name}")

    def item_of_title(self, title: str) -> Item:
        """Returns the item with a title, or the only one whose title contains it.

        Raises:
            RecommenderError: There is none, or several.
        """
        exact = [item for item in self.items if item.title.casefold() == title.casefold()]
        found = exact or [item for item in self.items if title.casefold() in item.title.casefold()]
        if len(found) != 1:
            which = ", ".join(item.title for item in found[:5]) if found else "no item"
            raise RecommenderError(f"expected the title of one item. Received: {title!r}, which is in: {which}")
        return found[0]


def _user_of(values: dict[str, Any]) -> User:
    sets = {name: set(values[name]) for name in ("seen", "seen_before_validation")}
    return User(**{**values, **sets})


def prepare_folder(
    items_file: Path, ratings_file: Path, output: Path, *, like_from: float, pairs: int, seed: int = 0
) -> Mapping[str, int]:
    """Reads items and ratings, splits them, and writes them with pairs for fine-tuning.

    Args:
        items_file: The table of items.
        ratings_file: The table of ratings.
        output: The folder, which must be new.
        like_from: The smallest rating that is a like.
        pairs: The number of training pairs; there is a tenth as many for validation.
        seed: Determines the split and the pairs.

    Returns:
        Numbers of what was found, by names.
    """
    if output.exists():
        raise RecommenderError(f"expected a new folder for --output. Received: {output}, which exists")
    items = read_items(items_file)
    by_id = {item.id: item for item in items}
    split = split_ratings(read_ratings(ratings_file), by_id, like_from=like_from, seed=seed)
    drawn = draw_pairs(training_histories(split.users), by_id, pairs, seed=seed)
    checked = draw_pairs(validation_histories(split.users), by_id, max(1, pairs // 10), seed=seed + 1)
    if not drawn or not checked:
        raise RecommenderError(
            f"{ratings_file}: expected users with at least 5 ratings of {like_from:g} or more (--like-from). "
            "Received: none"
        )
    output.mkdir(parents=True)
    _write_json(output / ITEMS_FILE, [asdict(item) for item in items])
    users = [
        {name: sorted(value) if isinstance(value, set) else value for name, value in vars(user).items()}
        for user in split.users
    ]
    _write_json(output / SPLIT_FILE, {"users": users, "new_items": sorted(split.new_items)})
    _write_pairs(output / PAIRS_FILE, drawn)
    _write_pairs(output / VALIDATION_PAIRS_FILE, checked)
    return {
        "items": len(items),
        "new items": len(split.new_items),
        "users": len(split.users),
        "new users": sum(user.is_new for user in split.users),
        "likes to learn from": sum(len(user.train) + len(user.validation) for user in split.users if not user.is_new),
        "likes to predict": sum(len(user.test) for user in split.users),
        "pairs": len(drawn),
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _write_pairs(path: Path, pairs: Sequence[tuple[str, str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "pair"), *pairs])
