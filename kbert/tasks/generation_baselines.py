"""Answers without a model, which a model that generates texts has to be better than."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kbert.corpus.sentences import split_sentences
from kbert.tasks.metrics.generation import generation_metrics
from kbert.tasks.readers.generation import GenerationExample

_AT_ONCE = 256
_MOST_KNOWN = 20_000
"""The number of training texts that the nearest one is looked for in, which bounds memory and time."""


def baselines(train: Sequence[GenerationExample], texts: Sequence[str]) -> dict[str, list[str]]:
    """Returns the answers of three baselines to texts, each under a name that continues "a model that".

    Args:
        train: The training examples.
        texts: The texts.
    """
    return {
        "copies the text": list(texts),
        "takes the first sentence": [next(iter(split_sentences(text)), text) for text in texts],
        "takes the target of the nearest training text": nearest_targets(train, texts),
    }


def best_baseline(
    train: Sequence[GenerationExample], validation: Sequence[GenerationExample], metric: str, *, lowercase: bool
) -> tuple[str, dict[str, Any]]:
    """Returns the baseline that is best by a metric, in words that continue "a model that", and its metrics.

    Args:
        train: The training examples.
        validation: The examples that the metrics are measured on.
        metric: A metric of `generation_metrics` whose larger values are better.
        lowercase: See `generation_metrics`.
    """
    references = [example.target for example in validation]
    found = {
        name: generation_metrics(references, answers, lowercase=lowercase)
        for name, answers in baselines(train, [example.text for example in validation]).items()
    }
    name = max(found, key=lambda each: found[each].get(metric, 0.0))
    return name, {"examples": len(validation), **found[name]}


def nearest_targets(train: Sequence[GenerationExample], texts: Sequence[str]) -> list[str]:
    """Returns for each text the target of the training text that is most similar by TF-IDF of character n-grams.

    Of more than 20,000 training texts, a sample of 20,000 is compared. It is the same for the same training examples.

    Args:
        train: The training examples.
        texts: The texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(train) > _MOST_KNOWN:
        kept = np.random.default_rng(0).choice(len(train), _MOST_KNOWN, replace=False)
        train = [train[index] for index in np.sort(kept)]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), max_features=100_000, dtype=np.float32)
    try:
        known = vectorizer.fit_transform(example.text for example in train)
    except ValueError:  # the training texts have no characters to compare
        return [train[0].target[0]] * len(texts)
    asked = vectorizer.transform(texts)
    nearest: list[int] = []
    for start in range(0, len(texts), _AT_ONCE):
        similarities = asked[start : start + _AT_ONCE] @ known.T
        nearest.extend(np.asarray(similarities.argmax(axis=1)).reshape(-1).tolist())
    return [train[index].target[0] for index in nearest]
