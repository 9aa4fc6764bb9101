"""Topic and sentiment of headlines, by two classification models of kbert."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kbert
from apps.sentiment_monitor.errors import MonitorError

UNSURE = "unsure"
"""The topic of headlines from whose topic the model abstains (`kbert calibrate --abstain-below`)."""
_PROBE = "Shares fall after the company warns of lower profits"


@dataclass(frozen=True)
class Score:
    """What the models say about a headline.

    Args:
        topic: The likeliest topic.
        topic_probability: Its probability.
        sentiment: The likeliest sentiment.
        negative_probability: The probability of the negative sentiment.
    """

    topic: str
    topic_probability: float
    sentiment: str
    negative_probability: float


class Scorer:
    """Two loaded models.

    Args:
        topic_model: A model folder for classification, or "hf://owner/name"; its labels are the topics.
        sentiment_model: The same; one of its labels is the negative sentiment.
        negative: The negative label of the sentiment model.
        engine: What computes the encoders: "tensorflow" or "litert".

    Raises:
        KbertError: A model cannot be loaded, is for another task, or has no such label.
    """

    def __init__(
        self, topic_model: str, sentiment_model: str, negative: str = "negative", engine: str = "tensorflow"
    ) -> None:
        self._topics, self.topics = _load(topic_model, engine)
        self._sentiment, self.sentiments = _load(sentiment_model, engine)
        if negative not in self.sentiments:
            raise MonitorError(
                f"expected a model with the label {negative}. Received: {sentiment_model} with the labels "
                f"{', '.join(self.sentiments)}; name the negative one with --negative-label"
            )
        self.negative = negative

    @functools.cached_property
    def fingerprint(self) -> str:
        """What changes if a model or the negative label does."""
        digest = hashlib.sha256(self.negative.encode())
        for model in (self._topics, self._sentiment):
            digest.update(json.dumps(model.task.settings(), sort_keys=True).encode())
            for variable in model.model.variables:
                digest.update(variable.numpy().tobytes())
        return digest.hexdigest()[:32]

    def score(self, texts: Sequence[str]) -> list[Score]:
        """Returns the scores of headlines, in their order."""
        if not texts:
            return []
        topics, sentiments = self._topics.predict(list(texts)), self._sentiment.predict(list(texts))
        return [
            Score(
                UNSURE if topic.get("abstained") else topic["label"],
                max(topic["probabilities"].values()),
                sentiment["label"],
                sentiment["probabilities"][self.negative],
            )
            for topic, sentiment in zip(topics, sentiments, strict=True)
        ]


def _load(path: str, engine: str) -> tuple[Any, list[str]]:
    """Returns a model and its labels."""
    model = kbert.load(path, engine=engine)
    probabilities = model.predict([_PROBE])[0].get("probabilities") if model.task.name == "classification" else None
    if probabilities is None:
        raise MonitorError(
            f"expected a model for classification (kbert finetune classification). Received: {path}, which is for "
            f"{model.task.name}"
        )
    return model, list(probabilities)
