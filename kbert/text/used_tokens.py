"""Counts the tokens that texts use, and with them the entries of a vocabulary that their tokenization depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kbert.errors import DataError
from kbert.sources.source import Source
from kbert.text.bulk_tokenizer import BulkTokenizer
from kbert.text.tokenizer import Tokenizer

_LINES = 4096
"""The number of lines that are tokenized at once."""
_KNOWN_WORDS = 1 << 16
"""The number of unknown words whose matches are cached, which bounds memory."""


class UsedTokens:
    """The number of times that texts use each entry of a vocabulary.

    A vocabulary without the unused entries tokenizes these texts in the same way. WordPiece takes the longest match
    at each place of a word, so it depends on the matches alone. In a word that becomes [UNK], these are the pieces
    before the place where nothing matches: without them, shorter pieces could match there, and the word would not
    become [UNK].

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        size = len(tokenizer.vocabulary)
        self.tokens = np.zeros(size, np.int64)
        """The number of times that each entry is a token of the texts, int64 [V]."""
        self.partial = np.zeros(size, np.int64)
        """The number of times that each entry matches the beginning of a word that becomes [UNK], int64 [V]."""
        self._bulk = BulkTokenizer(tokenizer)
        self._known: dict[str, list[int]] = {}

    @property
    def unknown(self) -> float:
        """The fraction of the tokens that are [UNK]."""
        return float(self.tokens[self.tokenizer.vocabulary.unk_id] / max(1, self.tokens.sum()))

    def add(self, texts: Sequence[str]) -> None:
        """Counts the tokens of some texts."""
        ids, ends = self._bulk.ids(texts)
        self.tokens += np.bincount(ids, minlength=len(self.tokens))
        places = np.flatnonzero(ids == self.tokenizer.vocabulary.unk_id)
        for text in np.unique(np.searchsorted(ends, places, side="right")).tolist():
            for word in self.tokenizer.normalizer.words(texts[text]):
                matches = self._partial_matches(word)
                if matches:
                    self.partial[matches] += 1

    def add_source(self, source: Source, *, progress: Callable[[int, int], None] | None = None) -> None:
        """Counts the tokens of a source. Memory use depends only on the vocabulary.

        Args:
            source: The source of the text.
            progress: A function that is called with (bytes of text read, bytes of the source).

        Raises:
            DataError: The source is unreadable, or contains no tokens.
        """
        before, done = int(self.tokens.sum()), 0
        lines: list[str] = []
        for line in source.lines():
            lines.append(line)
            done += len(line.encode("utf-8", "replace")) + 1
            if len(lines) == _LINES:
                self.add(lines)
                lines = []
                if progress:
                    progress(min(done, source.size), source.size)
        if lines:
            self.add(lines)
        if int(self.tokens.sum()) == before:
            raise DataError("expected text to tokenize. The file holds no words", source.parts[0][0])

    def _partial_matches(self, word: str) -> list[int]:
        """Returns the ids of the pieces that match the beginning of a word, if the word becomes [UNK]."""
        found = self._known.get(word)
        if found is None:
            wordpiece = self.tokenizer.wordpiece
            found = []
            if word not in wordpiece.given and len(word) <= wordpiece.max_word_length:
                matches, end = wordpiece.matches(word)
                if end < len(word):
                    found = [piece for piece, _ in matches]
            if len(self._known) < _KNOWN_WORDS:
                self._known[word] = found
        return found
