"""All models, fitted to the same likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from apps.recommender.data.tables import Item
from apps.recommender.models.content import Content
from apps.recommender.models.factorization import Factorization
from apps.recommender.models.hybrid import combined
from apps.recommender.models.interactions import like_matrix
from apps.recommender.models.mapped import MappedFactors
from apps.recommender.models.popularity import Popularity

POPULARITY, FACTORIZATION = "popularity", "matrix factorization"
GENRES, WORDS, TEXT, HYBRID = "genres", "TF-IDF", "text", "hybrid"
"""The names of models. TEXT is that of the only text model, where there is one."""


@dataclass(frozen=True)
class Settings:
    """What is chosen on the validation likes.

    Args:
        size: The number of factors.
        damping: See `Factorization`.
        half_life: See `Content`.
        text_weight: The weight of the text model in the hybrid; that of matrix factorization is 1.
        popularity_weight: The weight of popularity in it.
    """

    size: int = 32
    damping: float = 0.3
    half_life: float | None = None
    text_weight: float = 0.2
    popularity_weight: float = 0.0


class FittedModels:
    """Popularity, factorization, content, mapped factors, and the hybrid.

    Args:
        histories: The likes to learn from.
        items: The items.
        vectors: The vectors of the items by the names of text models, float32 [items, width].
        settings: The settings.
        text_model: The text model of the hybrid, one of the names of `vectors`.
    """

    def __init__(
        self,
        histories: Sequence[Sequence[str]],
        items: Sequence[Item],
        vectors: Mapping[str, np.ndarray],
        settings: Settings,
        text_model: str,
    ) -> None:
        self._settings, self._text_model = settings, text_model
        self._place = {item.id: place for place, item in enumerate(items)}
        likes = like_matrix(histories, self._place)
        self._popularity = Popularity(likes)
        self.factorization = Factorization(likes, settings.size, settings.damping)
        self.contents = {name: Content(each, settings.half_life) for name, each in vectors.items()}
        self._mapped = {
            mapped_name(name): MappedFactors(self.factorization, each, likes) for name, each in vectors.items()
        }

    def scores(self, histories: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
        """Returns the scores of each model for users with these likes, float32 [users, items]."""
        likes = like_matrix(histories, self._place)
        scores = {
            POPULARITY: self._popularity.scores(len(histories)),
            FACTORIZATION: self.factorization.scores(likes),
            **{name: content.scores(histories, self._place) for name, content in self.contents.items()},
            **{name: mapped.scores(likes) for name, mapped in self._mapped.items()},
        }
        weights = self._settings.text_weight, self._settings.popularity_weight
        return {**scores, HYBRID: hybrid_scores(scores, self._text_model, *weights)}


def hybrid_scores(scores: Mapping[str, np.ndarray], text_model: str, text: float, popularity: float) -> np.ndarray:
    """Returns the scores of matrix factorization, a text model and popularity together, float32 [users, items]."""
    return combined(scores, {FACTORIZATION: 1.0, text_model: text, POPULARITY: popularity})


def mapped_name(text_model: str) -> str:
    """Returns the name of the factors that are predicted from the vectors of a text model."""
    return f"factors from {text_model}"


def simple_vectors(items: Sequence[Item]) -> dict[str, np.ndarray]:
    """Returns vectors of items that need no language model: their genres, and TF-IDF of their texts."""
    genres = sorted({genre for item in items for genre in item.genres})
    one_hot = np.array([[genre in item.genres for genre in genres] for item in items], np.float32)
    words = TfidfVectorizer(min_df=2, max_features=4000, dtype=np.float32).fit_transform([item.text for item in items])
    found = {WORDS: np.asarray(words.toarray(), np.float32)}
    return {GENRES: one_hot, **found} if genres else found
