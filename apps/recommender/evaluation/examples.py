"""Users as examples: what they liked, what each model recommends, and what they liked later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.recommender.data.folder import DataFolder
from apps.recommender.data.tables import Item
from apps.recommender.evaluation.comparison import Comparison
from apps.recommender.evaluation.question import Question, new_items_question, next_likes_question
from apps.recommender.models.ranking import best_items

_USERS = 4
_LENGTH = 8
_HISTORY = 10


@dataclass(frozen=True)
class ExampleList:
    """The list of a model: items, and whether each was liked later."""

    name: str
    rows: list[tuple[Item, bool]]


@dataclass(frozen=True)
class Example:
    """A user: the last likes that are known, their number, and the lists of models."""

    history: list[Item]
    likes: int
    lists: list[ExampleList]


def example_users(data: DataFolder, found: Comparison, names: list[str]) -> list[Example]:
    """Returns some users with known items, from short histories to long ones, with the lists of the named models."""
    question = next_likes_question(data)
    order = sorted(range(len(question.histories)), key=lambda row: len(question.histories[row]))
    rows = [order[round(len(order) * part)] for part in (0.2, 0.5, 0.7, 0.9)][:_USERS]
    scores = found.models.scores([question.histories[row] for row in rows])
    return [
        _example(data, question, row, place, {name: scores[name] for name in names}) for place, row in enumerate(rows)
    ]


def example_new_items(data: DataFolder, found: Comparison, name: str) -> list[Example]:
    """Returns some users with lists of new items by one model."""
    question = new_items_question(data)
    order = sorted(range(len(question.histories)), key=lambda row: -len(question.wanted[row]))
    rows = order[:2]
    scores = found.models.scores([question.histories[row] for row in rows])
    return [_example(data, question, row, place, {name: scores[name]}) for place, row in enumerate(rows)]


def _example(data: DataFolder, question: Question, row: int, place: int, scores: dict[str, np.ndarray]) -> Example:
    history, wanted = question.histories[row], question.wanted[row]
    lists = []
    for name, own in scores.items():
        best = best_items(own[place : place + 1], question.excluded[row : row + 1], _LENGTH)[0]
        lists.append(ExampleList(name, [(data.items[item], int(item) in wanted) for item in best]))
    return Example([data.items[data.place[item]] for item in history[-_HISTORY:]], len(history), lists)
