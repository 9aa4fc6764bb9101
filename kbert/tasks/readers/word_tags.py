"""Tags that belong to single words, such as parts of speech, in contrast to tags that encode spans (B-PER)."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from kbert.tasks.readers.tag_schemes import OUTSIDE, Entity
from kbert.tasks.readers.tagged_words import MARKS

WORDS = "words"
"""The value of the option `tag_scheme` for files in which each tag belongs to a single word."""
NO_TAG = "_"
"""The mark of CoNLL-U for a word without a tag. Such words are neither learnt nor evaluated."""
_BEGINS = re.compile(rf"[BIbi][{MARKS}].")
_LETTER = re.compile(r"[BIESMLUbiesmlu]")
_LETTER_LAST = re.compile(rf".+[{MARKS}][BIESMLUbiesmlu]")


def are_word_tags(sentences: Iterable[Sequence[str]]) -> bool:
    """Returns whether the tags of a file belong to single words, rather than to spans.

    They do if the file has at least two tags beside o, but not O, which all schemes of spans have; no tag that begins
    with B- or I-; and not only letters as in word segmentation (B, M, E, S). If o is the most frequent tag, it is O.

    Args:
        sentences: The tags of each sentence, as the file has them.

    Example:
        >>> are_word_tags([["DET", "NOUN", "VERB"]]), are_word_tags([["B-PER", "O"]])
        (True, False)
    """
    counts = Counter(tag for tags in sentences for tag in tags if tag != NO_TAG)
    others = counts.keys() - {OUTSIDE.lower()}
    if len(others) < 2 or OUTSIDE in counts or counts.most_common(1)[0][0] == OUTSIDE.lower():
        return False
    if any(_BEGINS.match(tag) for tag in others):
        return False
    return not any(all(letters.fullmatch(tag) for tag in others) for letters in (_LETTER, _LETTER_LAST))


def runs_of_equal_tags(tags: Sequence[str]) -> list[Entity]:
    """Returns the successive words that have the same tag, as entities of that type.

    Example:
        >>> runs_of_equal_tags(["NOUN", "NOUN", "VERB"])
        [('NOUN', 0, 2), ('VERB', 2, 3)]
    """
    found: list[Entity] = []
    for tag, run in itertools.groupby(tags):
        begin = found[-1][2] if found else 0
        found.append((tag, begin, begin + len(list(run))))
    return found


def predicted_tags(
    words: Sequence[tuple[int, int]], starts: Sequence[int], predicted: Sequence[int], missing: int = -1
) -> list[int]:
    """Returns the index of the prediction of each given word.

    A prediction is for a word of the tokenizer, of which a given word may have several ("n't" has three); the first of
    them counts. The tokenizer drops some words altogether, such as a control character.

    Args:
        words: The (start, end) of each given word, in order.
        starts: The offset of each predicted word, in order.
        predicted: The predictions.
        missing: The result for a word without a prediction.

    Example:
        >>> predicted_tags([(0, 2), (3, 6)], [0, 3, 4, 5], [7, 8, 9, 9])
        [7, 8]
    """
    found = []
    place = 0
    for start, end in words:
        while place < len(starts) and starts[place] < start:
            place += 1
        inside = place < len(starts) and starts[place] < end
        found.append(predicted[place] if inside else missing)
    return found
