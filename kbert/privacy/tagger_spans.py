"""The spans that a tagging model finds, as personal data to mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kbert import files
from kbert.errors import UsageError
from kbert.text.personal_data.masker import Found

Tag = Callable[[Sequence[str]], list[list[Found]]]
"""A function that returns the spans in each text."""


def load_tagger(model: files.PathLike, labels: Sequence[str] = ()) -> Tag:
    """Loads a tagging model.

    Args:
        model: The folder of a model that was fine-tuned for tagging, or a model of the hub.
        labels: The labels of the spans to return; empty for all.

    Raises:
        UsageError: The model is for another task, finds no spans, or has no such label.
    """
    from kbert.prediction.loading import load

    predictor = load(model)
    types = getattr(predictor.task, "types", ())
    if predictor.task.name != "tagging" or not types:
        raise UsageError(
            f"expected a model that was fine-tuned for tagging spans. Received: {model}, which is for "
            f"{predictor.task.name}; name another --tagger"
        )
    unknown = [label for label in labels if label not in types]
    if unknown:
        raise UsageError(f"--tagger-label must be one of {', '.join(types)}. Received: {unknown[0]}")

    def tag(texts: Sequence[str]) -> list[list[Found]]:
        spans: list[list[Found]] = [[] for _ in texts]
        places = [place for place, text in enumerate(texts) if text.strip()]
        answers = predictor.predict([texts[place] for place in places]) if places else []
        for place, answer in zip(places, answers, strict=True):
            spans[place] = [
                Found(span["start"], span["end"], span["label"])
                for span in answer["spans"]
                if not labels or span["label"] in labels
            ]
        return spans

    return tag
