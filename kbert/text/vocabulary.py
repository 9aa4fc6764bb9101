"""A WordPiece vocabulary: the tokens of a vocab.txt, one a line, the id being the line number from 0."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbert import files
from kbert.errors import VocabularyError

PAD, UNKNOWN, CLASSIFICATION, SEPARATOR, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNKNOWN, CLASSIFICATION, SEPARATOR, MASK)
CONTINUATION = "##"
"""Prefix of a piece that continues a word."""


class Vocabulary(Sequence[str]):
    """Tokens and their ids.

    Args:
        tokens: The tokens in the order of their ids.
        path: Where they were read, for messages.
        piece_count: So many of them, from the first, are pieces of words, as a vocab.txt lists them; the others are
            added tokens, which are found in text as a whole. None: all are pieces.

    Raises:
        VocabularyError: A special token is missing, or a token appears twice.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        path: str | os.PathLike[str] | None = None,
        *,
        piece_count: int | None = None,
    ) -> None:
        self.tokens = tuple(tokens)
        self.piece_count = len(self.tokens) if piece_count is None else piece_count
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            line = next(i for i, token in enumerate(self.tokens) if self.ids[token] != i)
            twice = self.tokens[line]
            if not twice:
                raise VocabularyError(
                    "expected a vocabulary, one token a line. Received several blank lines: is this text? Make a "
                    "vocabulary of it with `kbert vocab train`",
                    path,
                    line + 1,
                )
            raise VocabularyError(
                f"every token must appear once. Received {twice!r} again in line {self.ids[twice] + 1}; "
                "remove one of the lines (ids after it change, so only for a model not yet trained)",
                path,
                line + 1,
            )
        self.piece_ids = (
            self.ids
            if self.piece_count == len(self.tokens)
            else {token: index for index, token in enumerate(self.tokens[: self.piece_count])}
        )
        missing = [token for token in SPECIAL_TOKENS if token not in self.piece_ids]
        if missing:
            raise VocabularyError(
                f"a vocabulary must hold {' '.join(SPECIAL_TOKENS)}. Missing: {' '.join(missing)}; "
                "make one with `kbert vocab train`",
                path,
            )
        self.pad_id = self.ids[PAD]
        self.unknown_id = self.ids[UNKNOWN]
        self.classification_id = self.ids[CLASSIFICATION]
        self.separator_id = self.ids[SEPARATOR]
        self.mask_id = self.ids[MASK]

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Reads a vocab.txt.

        Raises:
            VocabularyError: The file is missing or empty, or what it holds cannot be a vocabulary.
            DataError: The file is not UTF-8.
        """
        if not Path(path).is_file():
            raise VocabularyError("expected a vocabulary file, one token a line. It does not exist", path)
        tokens = [line.strip() for line in files.read_lines(path)]
        while tokens and not tokens[-1]:
            tokens.pop()
        if not tokens:
            raise VocabularyError("expected a vocabulary file, one token a line. It is empty", path)
        return cls(tokens, path)

    def with_added(self, tokens: Sequence[str]) -> Vocabulary:
        """This vocabulary with those of `tokens` that it lacks behind its own."""
        lacking = [token for token in tokens if token not in self.ids]
        return Vocabulary([*self.tokens, *lacking], piece_count=self.piece_count) if lacking else self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a vocab.txt, atomically: the pieces, without added tokens."""
        files.write_text(path, self._text())

    def sha256(self) -> str:
        """Hash of the vocab.txt that `save` writes."""
        return hashlib.sha256(self._text().encode("utf-8")).hexdigest()

    def _text(self) -> str:
        return "".join(f"{token}\n" for token in self.tokens[: self.piece_count])

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204 (int or slice, as Sequence says)
        return self.tokens[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self.ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and (self.tokens, self.piece_count) == (
            other.tokens,
            other.piece_count,
        )

    def __hash__(self) -> int:
        return hash(self.tokens)
