"""Exact match and F1 of answers: by words, as in SQuAD, and by characters, as in CMRC 2018."""

from __future__ import annotations

import collections
import re
import string
from collections.abc import Callable, Sequence

from kbert.text.replacement_table import is_cjk

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CMRC_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CMRC_PIECE = re.compile(r"[\u4e00-\u9fa5]|\w+(?:(?:\.(?=\w)|,(?=\d))\w+)*|[^\w\s]")
"""Matches an ideograph, a word, a number such as 10,000 or 3.5, or a punctuation mark. CMRC's script splits words by
NLTK, which also splits at apostrophes."""

Metric = Callable[[str, str], float]


def normalize_answer(text: str) -> str:
    """Returns the text in lower case, without ASCII punctuation, articles and extra spaces (SQuAD's evaluation)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(true: str, predicted: str) -> float:
    """Returns 1 if the answers are equal after `normalize_answer`, else 0."""
    return float(normalize_answer(true) == normalize_answer(predicted))


def f1(true: str, predicted: str) -> float:
    """Returns the F1 of the words of an answer. If an answer has no words, it is 1 if both have none (SQuAD 2.0)."""
    wanted, found = normalize_answer(true).split(), normalize_answer(predicted).split()
    if not wanted or not found:
        return float(wanted == found)
    common = sum((collections.Counter(wanted) & collections.Counter(found)).values())
    return _f1(common, len(found), len(wanted))


def character_exact_match(true: str, predicted: str) -> float:
    """Returns 1 if the answers are equal in lower case and without punctuation, else 0 (CMRC 2018)."""
    return float(_without_punctuation(true) == _without_punctuation(predicted))


def character_f1(true: str, predicted: str) -> float:
    """Returns the F1 of the longest common substring, counted in ideographs and words of other scripts (CMRC 2018)."""
    wanted, found = _segments(true), _segments(predicted)
    if not wanted or not found:
        return float(wanted == found)
    return _f1(_longest_common_stretch(wanted, found), len(found), len(wanted))


def is_by_characters(answers: Sequence[str]) -> bool:
    """Returns whether answers are measured by characters, since more than half of them have ideographs."""
    return sum(any(is_cjk(ord(c)) for c in answer) for answer in answers) * 2 > len(answers)


def best(metric: Metric, true: Sequence[str], predicted: str) -> float:
    """Returns the largest score over the true answers; if there are none, the true answer is ""."""
    return max((metric(answer, predicted) for answer in true), default=metric("", predicted))


def best_threshold(differences: Sequence[float], scores: Sequence[float], impossible: Sequence[bool]) -> float:
    """Returns the threshold that gives the highest total score.

    A question is answered if its difference is not above the threshold.

    Args:
        differences: For each question, the score of "no answer" minus the score of the best answer.
        scores: For each question, the metric of the best answer; 0 for a question that has no answer.
        impossible: For each question, whether it has no answer. Giving no answer then scores 1.
    """
    total = best_total = float(sum(impossible))
    order = sorted(range(len(differences)), key=lambda index: differences[index])
    threshold = differences[order[0]] - 1.0 if order else 0.0
    for place, index in enumerate(order):
        total += scores[index] - impossible[index]
        is_last_of_equals = place + 1 == len(order) or differences[order[place + 1]] > differences[index]
        if is_last_of_equals and total > best_total:
            best_total, threshold = total, differences[index]
    return threshold


def _f1(common: int, found: int, wanted: int) -> float:
    if not common:
        return 0.0
    precision, recall = common / found, common / wanted
    return 2 * precision * recall / (precision + recall)


def _without_punctuation(text: str) -> str:
    return "".join(c for c in text.lower().strip() if c not in _CMRC_PUNCTUATION)


def _segments(text: str) -> list[str]:
    return _CMRC_PIECE.findall(_spaced(_without_punctuation(text)))


def _spaced(text: str) -> str:
    return "".join(f" {c} " if "\u4e00" <= c <= "\u9fa5" else c for c in text)


def _longest_common_stretch(first: Sequence[str], second: Sequence[str]) -> int:
    longest = 0
    row = [0] * (len(second) + 1)
    for item in first:
        before = 0
        for place, other in enumerate(second, start=1):
            before, row[place] = row[place], before + 1 if item == other else 0
            longest = max(longest, row[place])
    return longest
