"""chrF2 of generated texts (Popović 2015): the F-score of character n-grams, with the numbers of sacrebleu."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

_ORDER = 6
_FACTOR = 4.0
"""β², with which recall counts twice as much as precision."""


def chrf(references: Sequence[Sequence[str]], texts: Sequence[str], *, lowercase: bool = False) -> float:
    """Returns the chrF2 of a corpus, from 0 to 100, with n-grams of up to 6 characters, and without white space.

    Args:
        references: The references of each text, at least one each. The best one of each text counts.
        texts: The generated texts.
        lowercase: Whether case is ignored.
    """
    return _f_score(
        np.sum([_counts(wanted, text, lowercase) for wanted, text in zip(references, texts, strict=True)], axis=0)
    )


def sentence_chrf(references: Sequence[str], text: str, *, lowercase: bool = False) -> float:
    """Returns the chrF2 of one text, from 0 to 100; the arguments are as in `chrf`."""
    return _f_score(_counts(references, text, lowercase))


def _counts(references: Sequence[str], text: str, lowercase: bool) -> np.ndarray:
    """Returns the numbers of n-grams of the text, of its best reference, and of both, int64 [_ORDER, 3]."""
    found = _ngrams(text, lowercase)
    each = [_compared(found, _ngrams(reference, lowercase)) for reference in references]
    return max(each, key=_f_score)


def _ngrams(text: str, lowercase: bool) -> list[Counter[str]]:
    characters = "".join((text.lower() if lowercase else text).split())
    return [
        Counter(characters[start : start + size] for start in range(len(characters) - size + 1))
        for size in range(1, _ORDER + 1)
    ]


def _compared(found: Sequence[Counter[str]], wanted: Sequence[Counter[str]]) -> np.ndarray:
    rows = [
        # An order that the reference is too short for does not count.
        (ours.total() if theirs else 0, theirs.total(), (ours & theirs).total())
        for ours, theirs in zip(found, wanted, strict=True)
    ]
    return np.array(rows, np.int64)


def _f_score(counts: np.ndarray) -> float:
    used = counts[(counts[:, 0] > 0) & (counts[:, 1] > 0)].astype(np.float64)
    if not len(used):
        return 0.0
    precision, recall = float((used[:, 2] / used[:, 0]).mean()), float((used[:, 2] / used[:, 1]).mean())
    if precision + recall == 0:
        return 0.0
    return 100 * (1 + _FACTOR) * precision * recall / (_FACTOR * precision + recall)
