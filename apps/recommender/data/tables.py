"""The two tables of the user: items with texts, and ratings."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.recommender.errors import RecommenderError

_ITEM = ("item", "itemid", "item_id", "movieid", "movie_id", "id")
_USER = ("user", "userid", "user_id")
_TITLE = ("title", "name", "text")
_GENRES = ("genres", "genre", "categories", "tags")
_RATING = ("rating", "stars", "score")
_TIME = ("timestamp", "time", "date")
"""The names of columns, in any case, by which they are found."""
_NO_GENRES = "(no genres listed)"


@dataclass(frozen=True)
class Item:
    """An item.

    Args:
        id: What ratings call it.
        title: Its title.
        genres: Its genres.
    """

    id: str
    title: str
    genres: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What the text model reads, such as "The Matrix (1999). Action, Sci-Fi, Thriller"."""
        # MovieLens moves articles to the end: "Matrix, The (1999)".
        title = re.sub(r"^(.*), (The|A|An|Les?|La|Il|El|Der|Die|Das)( \(\d{4}\))?$", r"\2 \1\3", self.title)
        return f"{title}. {', '.join(self.genres)}" if self.genres else title


@dataclass(frozen=True)
class Rating:
    """A rating.

    Args:
        user: The user.
        item: The id of the item.
        rating: How much the user liked it; larger is better.
        time: When it was given, in any unit that can be sorted.
    """

    user: str
    item: str
    rating: float
    time: float


def read_items(path: Path) -> list[Item]:
    """Reads a table with columns for an id, a title, and genres that are separated by "|" (optional)."""
    header, rows = _read(path)
    place, title = _column(path, header, _ITEM), _column(path, header, _TITLE)
    genres = _find(header, _GENRES)
    items: dict[str, Item] = {}
    for line, row in rows:
        key = row[place].strip()
        if key in items:
            raise RecommenderError(f"{path}:{line}: expected each item once. Received: the item {key} again")
        if not key or not row[title].strip():
            raise RecommenderError(f"{path}:{line}: expected an id and a title. Received: {','.join(row)[:80]!r}")
        text = "" if genres is None or row[genres] == _NO_GENRES else row[genres]
        items[key] = Item(key, row[title].strip(), tuple(part.strip() for part in text.split("|") if part.strip()))
    return list(items.values())


def read_ratings(path: Path) -> list[Rating]:
    """Reads a table with columns for a user, an item, a rating and a time, in this order of time."""
    header, rows = _read(path)
    user, item, rating, time = (_column(path, header, names) for names in (_USER, _ITEM, _RATING, _TIME))
    ratings = []
    for line, row in rows:
        try:
            ratings.append(Rating(row[user].strip(), row[item].strip(), float(row[rating]), float(row[time])))
        except ValueError:
            raise RecommenderError(
                f"{path}:{line}: expected numbers as rating and time. Received: {row[rating]!r} and {row[time]!r}"
            ) from None
    return sorted(ratings, key=lambda each: (each.time, each.user, each.item))


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as problem:
        raise RecommenderError(f"{path}: expected CSV in UTF-8. Received: {problem}") from None
    for line, row in rows:
        if len(row) != len(header):
            raise RecommenderError(f"{path}:{line}: expected {len(header)} cells. Received: {len(row)}")
    if not rows:
        raise RecommenderError(f"{path}: expected a header and rows. Received: no rows")
    return header, rows


def _find(header: Sequence[str], names: Sequence[str]) -> int | None:
    lower = [name.strip().lower() for name in header]
    return next((lower.index(name) for name in names if name in lower), None)


def _column(path: Path, header: Sequence[str], names: Sequence[str]) -> int:
    place = _find(header, names)
    if place is None:
        raise RecommenderError(f"{path}: expected a column {' or '.join(names)}. Received: {', '.join(header)[:100]}")
    return place
