"""The choice of settings on the validation likes, so that the test likes are used once."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TypeVar

import numpy as np

from apps.recommender.data.folder import DataFolder
from apps.recommender.evaluation.fitted import TEXT, FittedModels, Settings, hybrid_scores
from apps.recommender.evaluation.question import Question, validation_question
from apps.recommender.models.content import Content
from apps.recommender.models.factorization import Factorization
from apps.recommender.models.interactions import like_matrix

_T = TypeVar("_T")
_SIZES, _DAMPINGS = (16, 32, 64), (0.0, 0.2, 0.4)
_HALF_LIVES = (None, 2.0, 5.0, 20.0)
_TEXT_WEIGHTS, _POPULARITY_WEIGHTS = (0.0, 0.2, 0.5, 1.0, 2.0), (0.0, 0.2)


def choose_settings(
    data: DataFolder, vectors: np.ndarray, progress: Callable[[str], None] = lambda _: None
) -> Settings:
    """Returns the settings with the best nDCG@20 on the validation likes. They are kept in the folder of the data.

    Args:
        data: The data.
        vectors: The vectors of the items by the text model of the hybrid, float32 [items, width].
        progress: Called with a line about each choice.
    """
    path = data.path / f"settings-{hashlib.sha256(vectors.tobytes()).hexdigest()[:16]}.json"
    if path.is_file():
        return Settings(**json.loads(path.read_text(encoding="utf-8")))
    question = validation_question(data)
    histories = [user.train for user in data.split.users if not user.is_new]
    learnt, asked = like_matrix(histories, data.place), like_matrix(question.histories, data.place)
    size, damping = _best(
        itertools.product(_SIZES, _DAMPINGS),
        lambda pair: _ndcg(question, Factorization(learnt, pair[0], pair[1]).scores(asked)),
    )
    progress(f"matrix factorization: {size} factors, damping {damping:g}")
    half_life = _best(
        _HALF_LIVES, lambda each: _ndcg(question, Content(vectors, each).scores(question.histories, data.place))
    )
    progress(f"half-life of likes: {'none' if half_life is None else f'{half_life:g} likes'}")
    models = FittedModels(histories, data.items, {TEXT: vectors}, Settings(size, damping, half_life), TEXT)
    scores = models.scores(question.histories)
    text, popularity = _best(
        itertools.product(_TEXT_WEIGHTS, _POPULARITY_WEIGHTS),
        lambda pair: _ndcg(question, hybrid_scores(scores, TEXT, *pair)),
    )
    progress(f"hybrid: matrix factorization + {text:g} * text + {popularity:g} * popularity")
    chosen = Settings(size, damping, half_life, text, popularity)
    path.write_text(json.dumps(asdict(chosen)), encoding="utf-8")
    return chosen


def _ndcg(question: Question, scores: np.ndarray) -> float:
    return question.quality(scores).ndcg


def _best(choices: Iterable[_T], value: Callable[[_T], float]) -> _T:
    return max(choices, key=value)
