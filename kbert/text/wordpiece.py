"""WordPiece: a word taken apart into the longest pieces of the vocabulary, from left to right."""

from __future__ import annotations

from collections.abc import Mapping

from kbert.text.settings import MAX_WORD_LENGTH
from kbert.text.vocabulary import CONTINUATION, Vocabulary

_CACHED_WORDS = 1 << 14
"""Frequent words are met early; a bound keeps memory flat however much text goes by."""


class WordPiece:
    """Greedy longest-match-first pieces (google-research/bert, tokenization.py).

    Args:
        vocabulary: The pieces.
        max_word_length: Longer words, in characters, are [UNK].
    """

    def __init__(self, vocabulary: Vocabulary, *, max_word_length: int = MAX_WORD_LENGTH) -> None:
        self.vocabulary = vocabulary
        self.max_word_length = max_word_length
        self.given: Mapping[str, tuple[tuple[int, int], ...]] = {}
        """Words whose pieces are not looked for: the placeholders of `TextTokens`."""
        self._ids = vocabulary.piece_ids
        self._unknown = ((vocabulary.unk_id, 0),)
        self._longest = max(map(len, self._ids))
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
        if word in self.given:
            return self.given[word]
        length = len(word)
        if length > self.max_word_length:
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
