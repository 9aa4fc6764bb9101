"""The headlines of a replay with the answers of the models, which are computed once and kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from apps.sentiment_monitor.replay.data_sets import Labelled, read_labelled
from apps.sentiment_monitor.replay.stream import FINANCE, Text
from apps.sentiment_monitor.scoring import Score, Scorer

TOPICS_FILE, SENTIMENT_FILE = "topics-replay.csv", "sentiment-replay.csv"
CACHE_FILE = "replay-scores.json"
_AT_ONCE = 512


def scored_texts(
    data: Path, scorer: Scorer, progress: Callable[[str], None] = lambda _: None
) -> tuple[list[Text], dict[str, float]]:
    """Returns the headlines of a replay, and how often the models are right about them.

    Args:
        data: The folder that `write_data_sets` made. The answers are kept in it (CACHE_FILE).
        scorer: The models.
        progress: Called with a line when the headlines are scored.
    """
    topics, sentences = read_labelled(data / TOPICS_FILE), read_labelled(data / SENTIMENT_FILE)
    labelled = labelled_texts(data, scorer.negative)
    texts = [text.text for text in labelled]
    key = hashlib.sha256(json.dumps([scorer.fingerprint, texts]).encode()).hexdigest()
    scores = _kept(data / CACHE_FILE, key)
    if scores is None:
        scores = []
        for start in range(0, len(texts), _AT_ONCE):
            progress(f"scored {start:,} of {len(texts):,} headlines")
            scores += scorer.score(texts[start : start + _AT_ONCE])
        document = {"key": key, "scores": [list(vars(score).values()) for score in scores]}
        (data / CACHE_FILE).write_text(json.dumps(document), encoding="utf-8")
    found = [
        replace(text, topic=score.topic, found_negative=score.sentiment == scorer.negative)
        for text, score in zip(labelled, scores, strict=True)
    ]
    return found, _accuracies(topics, sentences, scores)


def labelled_texts(data: Path, negative: str = "negative") -> list[Text]:
    """Returns the headlines of a replay without answers of models: first titles with topics, then sentences."""
    titles = [Text(text, label) for text, label in read_labelled(data / TOPICS_FILE)]
    return titles + [Text(text, FINANCE, label == negative) for text, label in read_labelled(data / SENTIMENT_FILE)]


def _accuracies(topics: Labelled, sentences: Labelled, scores: list[Score]) -> dict[str, float]:
    about_topics, about_sentences = scores[: len(topics)], scores[len(topics) :]
    right = sum(score.topic == label for (_, label), score in zip(topics, about_topics, strict=True))
    right_too = sum(score.sentiment == label for (_, label), score in zip(sentences, about_sentences, strict=True))
    business = sum(score.topic == "Business" for score in about_sentences)
    return {
        "topic": right / len(topics),
        "sentiment": right_too / len(sentences),
        "finance_as_business": business / len(sentences),
    }


def _kept(path: Path, key: str) -> list[Score] | None:
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    return [Score(*values) for values in document["scores"]] if document["key"] == key else None
