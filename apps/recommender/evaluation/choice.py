"""The choice of settings on the validation likes, so that the test likes are used once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import numpy as np

from apps.recommender.data.folder import DataFolder
from apps.recommender.evaluation.fitted import FACTORIZATION, POPULARITY, FittedModels, Settings
from apps.recommender.evaluation.question import Question, validation_question
from apps.recommender.models.content import Content
from apps.recommender.models.factorization import Factorization
from apps.recommender.models.hybrid import combined
from apps.recommender.models.interactions import like_matrix

_T = TypeVar("_T")
_SIZES, _DAMPINGS = (8, 16, 32, 64), (0.0, 0.3, 0.5)
_HALF_LIVES = (None, 5.0, 20.0, 50.0)
_CONTENT_WEIGHTS, _POPULARITY_WEIGHTS = (0.0, 0.1, 0.2, 0.4, 0.8), (0.0, 0.1, 0.3)


def choose_settings(
    data: DataFolder,
    vectors: Mapping[str, np.ndarray],
    text_model: str,
    progress: Callable[[str], None] = lambda _: None,
) -> Settings:
    """Returns the settings with the best nDCG@20 on the validation likes.

    Args:
        data: The data.
        vectors: The vectors of the items by the names of text models.
        text_model: The text model of the hybrid.
        progress: Called with a line about each choice.
    """
    question = validation_question(data)
    histories = [user.train for user in data.split.users if not user.is_new]
    learnt, asked = like_matrix(histories, data.place), like_matrix(question.histories, data.place)
    size, damping = _best(
        itertools.product(_SIZES, _DAMPINGS),
        lambda pair: _ndcg(question, Factorization(learnt, pair[0], pair[1]).scores(asked)),
    )
    progress(f"matrix factorization: {size} factors, damping {damping:g}")
    half_life = _best(
        _HALF_LIVES,
        lambda each: _ndcg(question, Content(vectors[text_model], each).scores(question.histories, data.place)),
    )
    progress(f"half-life of likes: {'none' if half_life is None else f'{half_life:g} likes'}")
    settings = Settings(size, damping, half_life)
    scores = FittedModels(histories, data.items, {text_model: vectors[text_model]}, settings).scores(question.histories)
    content, popularity = _best(
        itertools.product(_CONTENT_WEIGHTS, _POPULARITY_WEIGHTS),
        lambda pair: _ndcg(question, combined(scores, _weights(text_model, *pair))),
    )
    progress(f"hybrid: matrix factorization + {content:g} * text + {popularity:g} * popularity")
    return Settings(size, damping, half_life, _weights(text_model, content, popularity))


def _weights(text_model: str, content: float, popularity: float) -> dict[str, float]:
    return {FACTORIZATION: 1.0, text_model: content, POPULARITY: popularity}


def _ndcg(question: Question, scores: np.ndarray) -> float:
    return question.quality(scores).ndcg


def _best(choices: Iterable[_T], value: Callable[[_T], float]) -> _T:
    return max(choices, key=value)
