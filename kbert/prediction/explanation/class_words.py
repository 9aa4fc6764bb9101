"""The words that push each label most, over the explanations of many texts."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

_FEWEST = 2
"""The least number of texts with a word, if there are many texts."""
_MANY = 20


@dataclasses.dataclass(frozen=True)
class PushingWord:
    """A word, and what it adds to the log odds of a label.

    Args:
        word: The word.
        total: The sum of its scores over all texts.
        texts: The number of texts that hold it.
    """

    word: str
    total: float
    texts: int

    @property
    def mean(self) -> float:
        """The mean of its scores over the texts that hold it."""
        return self.total / self.texts


@dataclasses.dataclass(frozen=True)
class LabelWords:
    """The words that push a label most.

    Args:
        texts: The number of texts whose explanations are of this label.
        speak_for: The words with the largest sums of scores, the largest first.
        speak_against: The words with the smallest sums below 0, the smallest first.
    """

    texts: int
    speak_for: Sequence[PushingWord]
    speak_against: Sequence[PushingWord]


def class_words(
    explanations: Sequence[Mapping[str, Any]], *, lowercase: bool = True, most: int = 10
) -> dict[str, LabelWords]:
    """Returns the words that push each label most.

    Of a label with at least 20 texts, a word must be in at least 2 of them, so that a name in a single text is not
    taken for a habit of the model.

    Args:
        explanations: What `Predictor.explain` returned, each with a "label".
        lowercase: Whether words that differ only in capitals are the same.
        most: The largest number of words for and against each label.

    Returns:
        The words by label, that with the most texts first.

    Example:
        >>> words = [{"word": "Fine", "score": 2.0}, {"word": "film", "score": -0.5}]
        >>> class_words([{"label": "good", "words": words}])["good"].speak_for[0]
        PushingWord(word='fine', total=2.0, texts=1)
    """
    by_label: dict[str, list[Mapping[str, Any]]] = collections.defaultdict(list)
    for explanation in explanations:
        if explanation["label"]:  # a text without words has none
            by_label[explanation["label"]].append(explanation)
    found = {}
    for label, of_label in sorted(by_label.items(), key=lambda item: -len(item[1])):
        totals: dict[str, float] = collections.defaultdict(float)
        texts: collections.Counter[str] = collections.Counter()
        for explanation in of_label:
            words = [
                (word["word"].lower() if lowercase else word["word"], word["score"]) for word in explanation["words"]
            ]
            for word, score in words:
                totals[word] += score
            texts.update({word for word, _ in words})
        fewest = _FEWEST if len(of_label) >= _MANY else 1
        pushing = [PushingWord(word, total, texts[word]) for word, total in totals.items() if texts[word] >= fewest]
        pushing.sort(key=lambda each: (-each.total, each.word))
        found[label] = LabelWords(
            len(of_label),
            [each for each in pushing[:most] if each.total > 0],
            [each for each in pushing[: -most - 1 : -1] if each.total < 0],
        )
    return found
