"""WordPiece: a word taken apart into the longest pieces of the vocabulary, from left to right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from kbert.text.vocabulary import CONTINUATION, Vocabulary

MAX_WORD_LENGTH = 200
"""Longer words are [UNK], as in the original."""

_CACHED_WORDS = 1 << 14
"""Frequent words are met early; a bound keeps memory flat however much text goes by."""

_BEGINNING = 3
"""Characters by which long pieces are looked up."""
_SHORT_LENGTHS = tuple(range(_BEGINNING - 1, 0, -1))


class WordPiece:
    """Greedy longest-match-first pieces (google-research/bert, tokenization.py).

    Args:
        vocabulary: The pieces.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._ids = vocabulary.ids
        self._unknown = ((vocabulary.unknown_id, 0),)
        self._longest = max(map(len, vocabulary.tokens))
        self._cache: dict[str, tuple[int, ...]] = {}
        self._lengths: dict[str, tuple[int, ...]] | None = None

    def ids(self, words: list[str]) -> list[int]:
        """The ids of the pieces of all `words`, joined."""
        cache = self._cache
        result: list[int] = []
        for word in words:
            pieces = cache.get(word)
            if pieces is None:
                pieces = self.word_ids(word)
                if len(cache) < _CACHED_WORDS:
                    cache[word] = pieces
            result += pieces
        return result

    def word_ids(self, word: str) -> tuple[int, ...]:
        """The ids of `pieces(word)`, sooner: only lengths are tried that pieces of the same beginning have."""
        ids = self._ids
        whole = ids.get(word)
        length = len(word)
        if whole is not None and 0 < length <= MAX_WORD_LENGTH:
            return (whole,)
        if length > MAX_WORD_LENGTH:
            return (self.vocabulary.unknown_id,)
        if self._lengths is None:
            self._lengths = _piece_lengths(self.vocabulary.tokens)
        pieces: list[int] = []
        start, prefix = 0, ""
        while start < length:
            for size in self._lengths.get(prefix + word[start : start + _BEGINNING], _SHORT_LENGTHS):
                end = min(start + size, length)
                piece = ids.get(prefix + word[start:end])
                if piece is not None:
                    pieces.append(piece)
                    start, prefix = end, CONTINUATION
                    break
            else:
                return (self.vocabulary.unknown_id,)
        return tuple(pieces)

    def pieces(self, word: str) -> tuple[tuple[int, int], ...]:
        """(id, start in the word) of each piece; one [UNK] at 0 when the word cannot be spelled."""
        length = len(word)
        if length > MAX_WORD_LENGTH:
            return self._unknown
        pieces: list[tuple[int, int]] = []
        start = 0
        while start < length:
            prefix = CONTINUATION if start else ""
            for end in range(min(length, start + self._longest), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    pieces.append((piece, start))
                    start = end
                    break
            else:
                return self._unknown
        return tuple(pieces)


def _piece_lengths(tokens: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """For each beginning of a piece, "##" included, how long the pieces may be that fit there, longest first."""
    lengths: defaultdict[str, set[int]] = defaultdict(set)
    for token in tokens:
        # A word may begin with "##" too, so such a token is both.
        for prefix in (CONTINUATION, "") if token.startswith(CONTINUATION) else ("",):
            size = len(token) - len(prefix)
            if size >= _BEGINNING:
                lengths[token[: len(prefix) + _BEGINNING]].add(size)
    return {beginning: (*sorted(sizes, reverse=True), *_SHORT_LENGTHS) for beginning, sizes in lengths.items()}
