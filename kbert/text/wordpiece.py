"""WordPiece: a word taken apart into the longest pieces of the vocabulary, from left to right."""

from __future__ import annotations

from kbert.text.vocabulary import CONTINUATION, Vocabulary

MAX_WORD_LENGTH = 200
"""Longer words are [UNK], as in the original."""

_CACHED_WORDS = 1 << 14
"""Frequent words are met early; a bound keeps memory flat however much text goes by."""


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
        """The ids of the pieces of one word."""
        return tuple(piece for piece, _ in self.pieces(word))

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
