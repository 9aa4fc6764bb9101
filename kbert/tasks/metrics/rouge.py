"""ROUGE-1, -2, -L and -Lsum of a summary (Lin 2004), as Google's rouge-score computes them without stemming.

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

from kbert.tasks.metrics.ngrams import word_ngrams

# In scripts without spaces each letter is a word: kana, ideographs, Thai, Lao, Tibetan, Myanmar, Khmer.
_WITHOUT_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff" + (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
)
# Unicode's blocks of Latin letters beyond a to z.
_OTHER_LATIN = "\u00aa\u00ba\u00c0-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua722-\ua7ff\uab30-\uab6f\ufb00-\ufb06\uff21-\uff5a"

METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class Score(NamedTuple):
    """The overlap of a summary with a reference."""

    precision: float
    recall: float
    f1: float


def rouge(references: Sequence[str], summary: str) -> dict[str, Score]:
    """Returns the scores of a summary: for each metric those of the reference with the largest F1.

    "rougeLsum" compares sentences, which are lines. The other metrics do not depend on the division into lines.

    Args:
        references: One or more reference summaries, with one sentence on each line.
        summary: The summary, with one sentence on each line.

    Returns:
        The scores by metric, one of METRICS.
    """
    lines = _lines(summary)
    scores = [_scores(_lines(reference), lines) for reference in references]
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


def _lines(text: str) -> list[list[str]]:
    """Returns the words of each line that has words."""
    return [words for line in text.split("\n") if (words := rouge_words(line))]


def _scores(reference_lines: list[list[str]], summary_lines: list[list[str]]) -> dict[str, Score]:
    reference, summary = ([word for words in lines for word in words] for lines in (reference_lines, summary_lines))
    common = _longest_common_subsequence(reference, summary)
    return {
        "rouge1": ngram_score(reference, summary, 1),
        "rouge2": ngram_score(reference, summary, 2),
        "rougeL": _score(common, len(reference), len(summary)),
        "rougeLsum": _score(_summary_hits(reference_lines, summary_lines), len(reference), len(summary)),
    }


def _summary_hits(reference: Sequence[Sequence[str]], summary: Sequence[Sequence[str]]) -> int:
    """Returns the number of common words of two lists of sentences.

    The words of a reference sentence that are in its longest common subsequence with any sentence of the summary are
    common, each word at most as often as both texts have it.
    """
    if len(reference) == len(summary) == 1:
        return _longest_common_subsequence(reference[0], summary[0])
    left = Counter(word for words in reference for word in words) & Counter(word for words in summary for word in words)
    hits = 0
    for words in reference:
        for place in sorted({place for each in summary for place in _common_places(words, each)}):
            if left[words[place]] > 0:
                left[words[place]] -= 1
                hits += 1
    return hits


def ngram_score(reference: Sequence[str], summary: Sequence[str], size: int) -> Score:
    """Returns ROUGE-N of two lists of words, where N is `size`."""
    wanted, given = word_ngrams(reference, size), word_ngrams(summary, size)
    return _score((wanted & given).total(), wanted.total(), given.total())


def _score(common: int, reference: int, summary: int) -> Score:
    if not common:
        return Score(0.0, 0.0, 0.0)
    precision, recall = common / summary, common / reference
    return Score(precision, recall, 2 * precision * recall / (precision + recall))


def _longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Returns the length of the longest common subsequence of two lists of words."""
    return len(first) - _subsequence_rows(first, second)[-1].bit_count()


def _common_places(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """Returns the indices in `first` of a longest common subsequence, the same that rouge-score chooses, from the end.

    If there are several, the choice changes the score.
    """
    rows = _subsequence_rows(first, second)

    def length(count: int, row: int) -> int:
        """Returns the length for the first `count` words of `first` and the first `row` words of `second`."""
        return count - (rows[row] & ((1 << count) - 1)).bit_count()

    places = []
    count, row = len(first), len(second)
    while count > 0 and row > 0:
        if first[count - 1] == second[row - 1]:
            places.append(count - 1)
            count, row = count - 1, row - 1
        elif length(count, row - 1) > length(count - 1, row):
            row -= 1
        else:
            count -= 1
    return places


def _subsequence_rows(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """Returns the rows of the dynamic-programming table of the longest common subsequence, the empty one first.

    Each row is the bits of one integer (Hyyrö 2004): a 0 at index i if the word `first[i]` makes it longer.
    """
    places: dict[str, int] = {}
    for index, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << index
    everything = (1 << len(first)) - 1
    rows = [everything]
    for word in second:
        row = rows[-1]
        matches = row & places.get(word, 0)
        rows.append(((row + matches) | (row - matches)) & everything)
    return rows


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
