"""The optional models: one that re-ranks, and one that classifies intents."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import kbert
from apps.customer_service.retrieval import ReRanker


class ModelError(kbert.KbertError):
    """An option names a model that cannot do what it is named for."""

    exit_code = 2


@dataclasses.dataclass(frozen=True)
class Intent:
    """What a classifier says about a question.

    Args:
        category: The likeliest category.
        probability: Its probability.
        abstained: Whether the classifier is too unsure; its answer does not count then.
    """

    category: str
    probability: float
    abstained: bool


class IntentClassifier:
    """A model of `kbert finetune classification` whose labels are the categories of the FAQs.

    Args:
        folder: The folder of the model.
        abstain_below: The least probability of an answer; None takes the threshold of `kbert calibrate`.
        categories: The categories of the FAQs.

    Raises:
        ModelError: The model is for another task, or has no label that is a category.
    """

    def __init__(
        self, folder: str | os.PathLike[str], categories: Sequence[str], abstain_below: float | None = None
    ) -> None:
        self._model = kbert.load(folder, abstain_below=abstain_below)
        labels = getattr(self._model.task, "labels", ())
        if self._model.task.name != "classification" or not set(labels) & set(categories):
            known = ", ".join(sorted(filter(None, set(categories)))[:5]) or "none"
            raise ModelError(
                f"--intents must be a classification model whose labels are the categories of the FAQs ({known}). "
                f"Received: {folder}, a model for {self._model.task.name}; fine-tune one with the file "
                "classification.csv that `feedback export` writes"
            )

    def __call__(self, questions: Sequence[str]) -> list[Intent]:
        """Returns the intent of each question."""
        return [
            Intent(found["label"], found["probabilities"][found["label"]], found.get("abstained", False))
            for found in self._model.predict(list(questions))
        ]


def load_re_ranker(folder: str | os.PathLike[str]) -> ReRanker:
    """Loads a model of `kbert finetune ranking`, or a cross-encoder of sentence-transformers.

    Raises:
        ModelError: The model is for another task.
    """
    # The files of most cross-encoders do not say that their one output ranks.
    model = kbert.load(folder, task=None if (Path(folder) / "kbert.json").is_file() else "ranking")
    if model.task.name != "ranking":
        raise ModelError(
            "--rerank must be a model of `kbert finetune ranking`, or a cross-encoder. "
            f"Received: {folder}, a model for {model.task.name}"
        )

    def scores(question: str, phrasings: Sequence[str]) -> Sequence[float]:
        (answer,) = model.predict([question], [list(phrasings)])
        found: Sequence[float] = answer["scores"]
        return found

    return scores
