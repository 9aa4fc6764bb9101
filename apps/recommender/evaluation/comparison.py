"""The comparison of the models on the test likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from apps.recommender.data.folder import DataFolder
from apps.recommender.evaluation.choice import choose_settings
from apps.recommender.evaluation.fitted import FACTORIZATION, HYBRID, POPULARITY, FittedModels, simple_vectors
from apps.recommender.evaluation.metrics import TOP, Quality, quality_of
from apps.recommender.evaluation.question import (
    Question,
    new_items_question,
    new_users_question,
    next_likes_question,
)
from apps.recommender.models.ranking import best_items, diverse_items, intra_list_similarity

TRADES = (1.0, 0.9, 0.8, 0.7, 0.5)
_CANDIDATES = 200


@dataclass(frozen=True)
class Diversity:
    """Lists of the hybrid, re-ranked by `diverse_items`.

    Args:
        trade: How much relevance counts, from 0 to 1.
        quality: How good the lists are.
        similarity: Their intra-list similarity, by the text model that was not fine-tuned.
    """

    trade: float
    quality: Quality
    similarity: float


@dataclass(frozen=True)
class Comparison:
    """What the evaluation found.

    Args:
        text_model: The text model of the hybrid.
        next_likes: The quality of each model for users and items that are known.
        new_users: The same for new users.
        new_items: The same for new items.
        chance: The expected recall of random lists of new items.
        diversity: The hybrid with different trades.
        models: The models, fitted to what they may learn from.
    """

    text_model: str
    next_likes: dict[str, Quality]
    new_users: dict[str, Quality]
    new_items: dict[str, Quality]
    chance: float
    diversity: list[Diversity]
    models: FittedModels


def compare(
    data: DataFolder, vectors: Mapping[str, np.ndarray], progress: Callable[[str], None] = lambda _: None
) -> Comparison:
    """Compares the models.

    Args:
        data: The data.
        vectors: The vectors of the items by the names of text models; the last one is used in the hybrid, and the first
            one measures diversity.
        progress: Called with a line about each step.
    """
    names = list(vectors)
    settings = choose_settings(data, vectors[names[-1]], progress)
    histories = learnt_histories(data)
    models = FittedModels(histories, data.items, {**simple_vectors(data.items), **vectors}, settings, names[-1])
    progress("test likes of known users and items")
    question = next_likes_question(data)
    scores = models.scores(question.histories)
    next_likes = {name: question.quality(each) for name, each in scores.items()}
    progress("new users")
    asked = new_users_question(data)
    new_users = {name: asked.quality(each) for name, each in models.scores(asked.histories).items()}
    progress("new items")
    asked = new_items_question(data)
    new_items = {
        name: asked.quality(each)
        for name, each in models.scores(asked.histories).items()
        if name not in (POPULARITY, FACTORIZATION, HYBRID)
    }
    progress("diversity")
    measure = models.contents[names[0]].vectors
    diversity = [_diverse(question, scores[HYBRID], measure, trade) for trade in TRADES]
    return Comparison(names[-1], next_likes, new_users, new_items, _chance(asked), diversity, models)


def learnt_histories(data: DataFolder) -> list[list[str]]:
    """Returns the likes that the models of the test learn from."""
    return [user.train + user.validation for user in data.split.users if not user.is_new]


def diverse_lists(question: Question, scores: np.ndarray, vectors: np.ndarray, trade: float) -> np.ndarray:
    """Returns lists by `diverse_items` out of the 200 best items of each user, int64 [users, 20]."""
    candidates = best_items(scores, question.excluded, _CANDIDATES)
    rows: Sequence[np.ndarray] = [
        diverse_items(own[places], places, vectors, TOP, trade) for own, places in zip(scores, candidates, strict=True)
    ]
    return np.stack(rows)


def _diverse(question: Question, scores: np.ndarray, vectors: np.ndarray, trade: float) -> Diversity:
    lists = diverse_lists(question, scores, vectors, trade)
    return Diversity(trade, quality_of(lists, question.wanted), intra_list_similarity(lists, vectors))


def _chance(question: Question) -> float:
    """Returns the expected recall of random lists."""
    left = (~question.excluded).sum(1)
    wanted = np.array([len(own) for own in question.wanted])
    return float((wanted * np.minimum(TOP, left) / left / np.minimum(wanted, TOP)).mean())
