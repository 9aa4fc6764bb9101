"""Faithfulness: whether the words with the largest scores are those that the answers of the model depend on.

For each text, the words with the largest scores are removed, and in another copy all words but these. An explanation is
faithful if the first changes the probability of the predicted label a lot (comprehensiveness), and the second little
(sufficiency); both are the measures of the ERASER benchmark (arXiv 1911.03429), averaged over several parts of the
words. The same with words in random order shows what an explanation without information reaches. The words are removed
from the text, and not replaced by the token that attributions use, so that the test does not favour its own method.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kbert.errors import UsageError
from kbert.models.encoder import BertEncoder
from kbert.prediction.explanation.attribution import INTEGRATED_GRADIENTS, METHODS
from kbert.prediction.explanation.explainer import Explainer
from kbert.prediction.options import ExplainOptions
from kbert.prediction.text_batches import answers_in_batches
from kbert.prediction.text_model import TextModel

PARTS = (0.01, 0.05, 0.1, 0.2, 0.5)
"""The parts of the words that are removed, or kept alone; at least one word."""
FIFTH = 0.2
RANDOM = "random"
DRAWS = 20
"""The number of random orders of the words of each text."""
_RANDOM_SEED = 1
_COMPARED = 50
"""The number of texts whose scores are compared with those of a model with random weights."""


@dataclasses.dataclass(frozen=True)
class _Text:
    """A text or a pair, with the words that the model read."""

    texts: tuple[str, ...]
    spans: tuple[tuple[int, int, int], ...]
    """The index of the text, the start and the end of each word."""

    def without(self, words: frozenset[int]) -> tuple[str, ...]:
        """Returns the texts without these words."""
        kept = list(self.texts)
        for place in sorted(words, reverse=True):
            index, start, end = self.spans[place]
            kept[index] = kept[index][:start] + kept[index][end:]
        return tuple(kept)


def faithfulness(text_model: TextModel, inputs: Mapping[str, Sequence[str]], *, batch_size: int = 64) -> dict[str, Any]:
    """Measures the explanations of all methods on texts.

    Args:
        text_model: A model for classification or multilabel classification.
        inputs: The texts by the names of the inputs of the task.
        batch_size: The number of texts that are processed together.

    Returns:
        "examples", the number of texts with words. "methods", for each method and for random orders of the words: the
        means of "comprehensiveness" and "sufficiency"; "fifth_removed", the decrease of the probability without the
        fifth of the words with the largest scores; and, for methods, the median and the largest "completeness_gap".
        "random_weights_correlation", the mean rank correlation of the scores of integrated gradients with those of a
        model of the same form with random weights, for up to 50 texts: it is near 0 if explanations depend on what the
        model has learnt.

    Raises:
        UsageError: The task has no probabilities of labels.
    """
    labels = getattr(text_model.task, "explained_labels", None)
    if labels is None:
        raise UsageError(
            "faithfulness is measured for classification and multilabel classification. Received: a model for "
            f"{text_model.task.name}; leave it out"
        )
    found = {method: Explainer(text_model, ExplainOptions(method=method)).explain(inputs) for method in METHODS}
    columns = [text.column for text in text_model.task.text_inputs]
    usable = [place for place, each in enumerate(found[INTEGRATED_GRADIENTS]) if each["words"]]
    if not usable:
        raise UsageError("expected texts with words. Received: texts without words alone")
    explained = {method: [each[place] for place in usable] for method, each in found.items()}
    texts = [_text(each, columns) for each in explained[INTEGRATED_GRADIENTS]]
    targets = [labels.index(each["label"]) for each in explained[INTEGRATED_GRADIENTS]]
    orders = {method: [[_order(each["words"])] for each in values] for method, values in explained.items()}
    rng = np.random.default_rng(0)
    orders[RANDOM] = [[rng.permutation(len(text.spans)).tolist() for _ in range(DRAWS)] for text in texts]
    probabilities = _probabilities(text_model, _variants(texts, orders), batch_size)
    methods = {method: _scores(texts, targets, each, probabilities) for method, each in orders.items()}
    for method, values in explained.items():
        gaps = [each["completeness_gap"] for each in values]
        methods[method] |= {"completeness_gap": float(np.median(gaps)), "largest_gap": float(np.max(gaps))}
    return {
        "examples": len(texts),
        "methods": methods,
        "random_weights_correlation": _random_weights(text_model, explained[INTEGRATED_GRADIENTS][:_COMPARED], columns),
    }


def removed_words(order: Sequence[int], part: float) -> frozenset[int]:
    """Returns the first words of an order: a part of all, rounded up, and at least one.

    Example:
        >>> sorted(removed_words([3, 0, 2, 1], 0.5))
        [0, 3]
    """
    return frozenset(order[: max(1, math.ceil(part * len(order)))])


def _order(words: Sequence[Mapping[str, Any]]) -> list[int]:
    """Returns the indices of the words, those with the largest scores first."""
    return sorted(range(len(words)), key=lambda place: -words[place]["score"])


def _text(explanation: Mapping[str, Any], columns: Sequence[str]) -> _Text:
    spans = [
        (columns.index(word.get("input", columns[0])), word["start"], word["end"]) for word in explanation["words"]
    ]
    return _Text(tuple(explanation[column] for column in columns), tuple(spans))


def _both(text: _Text, order: Sequence[int], part: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the text without the first words of an order, and with these words alone."""
    first = removed_words(order, part)
    return text.without(first), text.without(frozenset(order) - first)


def _variants(
    texts: Sequence[_Text], orders: Mapping[str, Sequence[Sequence[Sequence[int]]]]
) -> Iterator[tuple[str, ...]]:
    """Yields all texts, and all their variants with fewer words."""
    for place, text in enumerate(texts):
        yield text.texts
        for each in orders.values():
            for order in each[place]:
                for part in PARTS:
                    yield from _both(text, order, part)


def _probabilities(
    text_model: TextModel, variants: Iterator[tuple[str, ...]], batch_size: int
) -> dict[tuple[str, ...], np.ndarray]:
    """Returns the probabilities of the labels for each text, which is computed once."""
    distinct = list(dict.fromkeys(variants))
    columns = map(list, zip(*distinct, strict=True))
    inputs = dict(zip((text.name for text in text_model.task.text_inputs), columns, strict=True))
    answers = answers_in_batches(text_model.from_text, inputs, batch_size)
    return dict(zip(distinct, answers["probabilities"], strict=True))


def _scores(
    texts: Sequence[_Text],
    targets: Sequence[int],
    orders: Sequence[Sequence[Sequence[int]]],
    probabilities: Mapping[tuple[str, ...], np.ndarray],
) -> dict[str, float]:
    removed, kept = [], []
    for text, target, each in zip(texts, targets, orders, strict=True):
        whole = probabilities[text.texts][target]
        variants = [[_both(text, order, part) for part in PARTS] for order in each]
        removed.append(
            np.mean([[whole - probabilities[less][target] for less, _ in of_order] for of_order in variants], 0)
        )
        kept.append(np.mean([[whole - probabilities[alone][target] for _, alone in each_] for each_ in variants]))
    by_part = np.mean(removed, 0)
    return {
        "comprehensiveness": float(by_part.mean()),
        "sufficiency": float(np.mean(kept)),
        "fifth_removed": float(by_part[PARTS.index(FIFTH)]),
    }


def _random_weights(
    text_model: TextModel, explained: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> float | None:
    """Returns the mean rank correlation with the scores of a model with random weights; None for short texts alone."""
    from scipy.stats import spearmanr

    task = text_model.task
    encoder = BertEncoder(text_model.model.encoder.config, pooled=task.pooled, skip_padding=True, seed=_RANDOM_SEED)
    random = TextModel(task, task.build(encoder), text_model.encode)
    inputs = {
        text.name: [each[column] for each in explained] for text, column in zip(task.text_inputs, columns, strict=True)
    }
    labels = [each["label"] for each in explained]
    others = Explainer(random, ExplainOptions(method=INTEGRATED_GRADIENTS)).explain(inputs, labels)
    found = []
    for one, other in zip(explained, others, strict=True):
        ours, theirs = ([word["score"] for word in each["words"]] for each in (one, other))
        if len(set(ours)) > 2 and len(set(theirs)) > 2:
            found.append(spearmanr(ours, theirs).statistic)
    return float(np.mean(found)) if found else None
