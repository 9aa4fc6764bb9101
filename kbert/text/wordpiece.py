"""WordPiece: splits words into the longest pieces of the vocabulary, from left to right."""

from __future__ import annotations

from collections.abc import Mapping

from kbert.text.settings import MAX_WORD_LENGTH
from kbert.text.vocabulary import CONTINUATION, Vocabulary

_CACHED_WORDS = 1 << 14
"""The maximum number of cached words, which bounds memory. Frequent words occur early, so they are cached."""


class WordPiece:
    """Splits words into pieces, greedily by the longest match first (google-research/bert, tokenization.py).

    Args:
        vocabulary: The vocabulary of pieces.
        max_word_length: The length in characters above which a word becomes [UNK].
        max_word_bytes: The length in bytes of UTF-8 above which a word becomes [UNK]; None if there is no such limit.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, max_word_length: int = MAX_WORD_LENGTH, max_word_bytes: int | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.max_word_length = max_word_length
        self.max_word_bytes = max_word_bytes
        self.given: Mapping[str, tuple[tuple[int, int], ...]] = {}
        """The words whose pieces are known in advance: the placeholders of `TextTokens`."""
        self._ids = vocabulary.piece_ids
        self._unknown = ((vocabulary.unk_id, 0),)
        self._longest = max(map(len, self._ids))
        self._cache: dict[str, tuple[int, ...]] = {}

    def ids(self, words: list[str]) -> list[int]:
        """Returns the ids of the pieces of all `words`, concatenated."""
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
        """Returns the ids of the pieces of a word."""
        return tuple(piece for piece, _ in self.pieces(word))

    def is_too_long(self, word: str) -> bool:
        """Returns whether a word is longer than the limits, so that it becomes [UNK]."""
        if len(word) > self.max_word_length:
            return True
        return self.max_word_bytes is not None and len(word.encode("utf-8", "surrogatepass")) > self.max_word_bytes

    def pieces(self, word: str) -> tuple[tuple[int, int], ...]:
        """Returns (id, start in the word) of each piece, or a single [UNK] at 0 if there are no matching pieces."""
        if word in self.given:
            return self.given[word]
        if self.is_too_long(word):
            return self._unknown
        matches, end = self.matches(word)
        return tuple(matches) if end == len(word) else self._unknown

    def matches(self, word: str) -> tuple[list[tuple[int, int]], int]:
        """Returns (id, start in the word) of each piece up to where no piece matches, and the place where they end.

        If they end before the end of the word, the word is [UNK].
        """
        length = len(word)
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
                break
        return pieces, start
