"""All models, fitted to the same likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from apps.recommender.data.tables import Item
from apps.recommender.models.content import Content
from apps.recommender.models.factorization import Factorization
from apps.recommender.models.interactions import like_matrix
from apps.recommender.models.mapped import MappedFactors
from apps.recommender.models.popularity import Popularity

POPULARITY, FACTORIZATION = "popularity", "matrix factorization"
GENRES, WORDS = "genres", "TF-IDF"


@dataclass(frozen=True)
class Settings:
    """What is chosen on the validation likes.

    Args:
        size: The number of factors.
        damping: See `Factorization`.
        half_life: See `Content`.
        weights: The weights of the hybrid, by the names of models.
    """

    size: int = 32
    damping: float = 0.3
    half_life: float | None = None
    weights: Mapping[str, float] | None = None


class FittedModels:
    """Popularity, factorization, content and mapped factors.

    Args:
        histories: The likes to learn from.
        items: The items.
        vectors: The vectors of the items by the names of text models, float32 [items, width].
        settings: The settings.
    """

    def __init__(
        self,
        histories: Sequence[Sequence[str]],
        items: Sequence[Item],
        vectors: Mapping[str, np.ndarray],
        settings: Settings,
    ) -> None:
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
        return {
            POPULARITY: self._popularity.scores(len(histories)),
            FACTORIZATION: self.factorization.scores(likes),
            **{name: content.scores(histories, self._place) for name, content in self.contents.items()},
            **{name: mapped.scores(likes) for name, mapped in self._mapped.items()},
        }


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
