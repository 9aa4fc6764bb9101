"""ROUGE-1, ROUGE-2 and ROUGE-L of a summary (Lin 2004), as Google's rouge-score computes them without stemming.

rouge-score ignores all letters except a to z, so a Russian summary scores 0. Here Latin text is treated as in
rouge-score, where an accented letter ends a word, so that scores can be compared. In addition, letters and digits of
all other scripts form words.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

# In scripts without spaces each letter is a word: kana, ideographs, Thai, Lao, Tibetan, Myanmar, Khmer.
_WITHOUT_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff" + (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
)
# Unicode's blocks of Latin letters beyond a to z.
_OTHER_LATIN = "\u00aa\u00ba\u00c0-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua722-\ua7ff\uab30-\uab6f\ufb00-\ufb06\uff21-\uff5a"

METRICS = ("rouge1", "rouge2", "rougeL")


class Score(NamedTuple):
    """The overlap of a summary with a reference."""

    precision: float
    recall: float
    f1: float


def rouge(references: Sequence[str], summary: str) -> dict[str, Score]:
    """Returns the scores of a summary: for each metric those of the reference with the largest F1.

    Args:
        references: One or more reference summaries.
        summary: The summary.

    Returns:
        The scores by metric: "rouge1", "rouge2" and "rougeL".
    """
    words = rouge_words(summary)
    scores = [_scores(rouge_words(reference), words) for reference in references]
    return {name: max((score[name] for score in scores), key=lambda score: score.f1) for name in METRICS}


def rouge_words(text: str) -> list[str]:
    """Splits a text into the words that ROUGE counts, in lower case."""
    return _word().findall(text.lower())


@functools.cache
def _word() -> re.Pattern[str]:
    """Returns the pattern of a word. Non-Latin letters include the marks on them, such as the vowel signs of Hindi."""
    marks = "".join(
        re.escape(chr(code)) for code in range(0x300, sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"
    )
    letter = rf"(?![a-z0-9_{_OTHER_LATIN}])\w"
    spaced = rf"(?:(?![{_WITHOUT_SPACES}]){letter})"
    return re.compile(rf"[a-z0-9]+|{spaced}(?:{spaced}|[{marks}])*|{letter}[{marks}]*")


def _scores(reference: list[str], summary: list[str]) -> dict[str, Score]:
    common = _longest_common_subsequence(reference, summary)
    return {
        "rouge1": ngram_score(reference, summary, 1),
        "rouge2": ngram_score(reference, summary, 2),
        "rougeL": _score(common, len(reference), len(summary)),
    }


def ngram_score(reference: Sequence[str], summary: Sequence[str], size: int) -> Score:
    """Returns ROUGE-N of two lists of words, where N is `size`."""
    wanted, given = _ngrams(reference, size), _ngrams(summary, size)
    return _score((wanted & given).total(), wanted.total(), given.total())


def _ngrams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(size)), strict=False))


def _score(common: int, reference: int, summary: int) -> Score:
    if not common:
        return Score(0.0, 0.0, 0.0)
    precision, recall = common / summary, common / reference
    return Score(precision, recall, 2 * precision * recall / (precision + recall))


def _longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Returns the length of the longest common subsequence of two lists of words.

    Each row of the usual dynamic-programming table is the bits of one integer (Hyyrö 2004).
    """
    places: dict[str, int] = {}
    for index, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << index
    everything = (1 << len(first)) - 1
    row = everything
    for word in second:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & everything
    return len(first) - row.bit_count()


def oracle_sentences(sentences: Sequence[str], references: Sequence[str], most: int) -> list[int]:
    """Chooses the sentences of the best summary greedily, by the F1 of ROUGE-1 plus ROUGE-2 (as in arXiv 1611.04230).

    Args:
        sentences: The sentences of the document.
        references: The reference summaries.
        most: The largest number of sentences to choose.

    Returns:
        The indices of the chosen sentences, in rising order.
    """
    words = [rouge_words(sentence) for sentence in sentences]
    wanted = [rouge_words(reference) for reference in references]
    chosen: list[int] = []
    best = 0.0
    while len(chosen) < most:
        gains = {
            place: _gain(wanted, [word for index in sorted([*chosen, place]) for word in words[index]])
            for place in range(len(sentences))
            if place not in chosen
        }
        place = max(gains, key=lambda each: (gains[each], -each), default=None)
        if place is None or gains[place] <= best:
            break
        best = gains[place]
        chosen.append(place)
    return sorted(chosen)


def _gain(references: Sequence[Sequence[str]], summary: Sequence[str]) -> float:
    return max(
        ngram_score(reference, summary, 1).f1 + ngram_score(reference, summary, 2).f1 for reference in references
    )
