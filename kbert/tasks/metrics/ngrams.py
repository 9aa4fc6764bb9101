"""The n-grams of a list of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def word_ngrams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    """Returns the numbers of the sequences of `size` words.

    Example:
        >>> word_ngrams(["a", "cat", "a", "cat"], 2)
        Counter({('a', 'cat'): 2, ('cat', 'a'): 1})
    """
    return Counter(zip(*(words[start:] for start in range(size)), strict=False))
