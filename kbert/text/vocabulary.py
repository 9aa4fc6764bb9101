"""A WordPiece vocabulary: the tokens of a vocab.txt, one per line. The id of a token is its 0-based line number."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import VocabularyError

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
CONTINUATION = "##"
"""The prefix of a piece that continues a word."""


class Vocabulary(Sequence[str]):
    """Tokens and their ids.

    The vocab.txt of a trained model can contain repeated tokens and blank lines. Each line has an id; a repeated token
    has the id of its last line, as in Transformers, and the ids of its earlier lines are never used.

    Args:
        tokens: The tokens in the order of their ids.
        path: The file that error messages name.
        piece_count: The number of tokens, from the first, that are pieces of words, as in a vocab.txt. The others are
            added tokens, which are found in text as a whole. None means that all are pieces.
        content: The bytes of the vocab.txt that the pieces were read from, which `save` writes; None writes one piece
            per line.

    Raises:
        VocabularyError: A special token is missing.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        path: str | os.PathLike[str] | None = None,
        *,
        piece_count: int | None = None,
        content: bytes | None = None,
    ) -> None:
        self.tokens = tuple(tokens)
        self.piece_count = len(self.tokens) if piece_count is None else piece_count
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        self._content = content
        self.blank_end = 0
        """The number of blank lines at the end of the vocab.txt. `with_blank_end` can turn them into pieces."""
        self.piece_ids = (
            self.ids
            if self.piece_count == len(self.tokens)
            else {token: index for index, token in enumerate(self.tokens[: self.piece_count])}
        )
        missing = [token for token in SPECIAL_TOKENS if token not in self.piece_ids]
        if missing and self.tokens.count("") > 1:
            raise VocabularyError(
                "expected a vocabulary, one token per line. Received: several blank lines, as in a text; `kbert vocab "
                "train` makes a vocabulary from a text",
                path,
                self.tokens.index("") + 1,
            )
        if missing:
            raise VocabularyError(
                f"a vocabulary must hold {' '.join(SPECIAL_TOKENS)}. Missing: {' '.join(missing)}; "
                "make one with `kbert vocab train`",
                path,
            )
        self.pad_id = self.ids[PAD]
        self.unk_id = self.ids[UNK]
        self.cls_id = self.ids[CLS]
        self.sep_id = self.ids[SEP]
        self.mask_id = self.ids[MASK]

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, untrained: bool = False) -> Vocabulary:
        """Reads a vocab.txt.

        White space around tokens and blank lines at the end are ignored.

        Args:
            path: The file.
            untrained: Whether no model has been trained with these ids yet. Repeated tokens are then an error.

        Raises:
            VocabularyError: The file is missing, empty, or not a valid vocabulary.
            DataError: The file is not UTF-8.
        """
        if not Path(path).is_file():
            raise VocabularyError("expected a vocabulary file, one token per line. It does not exist", path)
        tokens = [line.strip() for line in files.read_lines(path)]
        lines = len(tokens)
        while tokens and not tokens[-1]:
            tokens.pop()
        if not tokens:
            raise VocabularyError("expected a vocabulary file, one token per line. It is empty", path)
        content = Path(path).read_bytes()
        vocabulary = cls(tokens, path, content=None if content == _text(tokens) else content)
        vocabulary.blank_end = lines - len(tokens)
        if untrained:
            vocabulary._check_distinct(path)
        return vocabulary

    def _check_distinct(self, path: str | os.PathLike[str]) -> None:
        if len(self.ids) == len(self.tokens):
            return
        line = next(index for index, token in enumerate(self.tokens) if self.ids[token] != index)
        twice = repr(self.tokens[line]) if self.tokens[line] else "a blank line"
        raise VocabularyError(
            f"every token must appear once. Received: {twice} again in line {self.ids[self.tokens[line]] + 1}; "
            "remove one of the lines (later ids change, so do this only before a model is trained)",
            path,
            line + 1,
        )

    @property
    def distinct_pieces(self) -> list[str]:
        """The pieces in the order of their ids, made distinct for formats that allow each token only once.

        A blank line, or a line that a later line repeats, is replaced by a name that does not occur in text.
        """
        pieces = list(self.tokens[: self.piece_count])
        for index, token in enumerate(pieces):
            if not token or self.piece_ids[token] != index:
                name = f" line {index + 1}"  # no word contains a space
                while name in self.ids:
                    name = f" {name}"
                pieces[index] = name
        return pieces

    def has_pieces(self, other: Vocabulary) -> bool:
        """Returns whether another vocabulary has the same pieces, and either the same added tokens or none."""
        pieces = self.tokens[: self.piece_count]
        return other.tokens in (self.tokens, pieces) or (
            pieces[: len(other)] == other.tokens and not any(pieces[len(other) :])
        )

    def with_blank_end(self, size: int) -> Vocabulary:
        """Returns this vocabulary with the blank lines at the end of its file as pieces, up to `size` tokens."""
        blank = [""] * min(size - len(self.tokens), self.blank_end)
        return Vocabulary([*self.tokens, *blank], content=self._content) if blank else self

    def with_added(self, tokens: Sequence[str]) -> Vocabulary:
        """Returns this vocabulary followed by those of `tokens` that it does not contain."""
        lacking = [token for token in tokens if token not in self.ids]
        if not lacking:
            return self
        return Vocabulary([*self.tokens, *lacking], piece_count=self.piece_count, content=self._content)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the pieces, without added tokens, to a vocab.txt atomically, in the bytes that they were read from."""
        with files.atomic_file(path) as handle:
            handle.write(self._bytes())

    def sha256(self) -> str:
        """Returns the SHA-256 of the vocab.txt that `save` writes."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def _bytes(self) -> bytes:
        return _text(self.tokens[: self.piece_count]) if self._content is None else self._content

    def __reduce__(self) -> tuple[Any, ...]:
        # Processes that build a corpus receive the vocabulary, and build its dictionaries again.
        return _unpickled, (self.tokens, self.piece_count, self._content, self.blank_end)

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


def _unpickled(tokens: Sequence[str], piece_count: int, content: bytes | None, blank_end: int) -> Vocabulary:
    vocabulary = Vocabulary(tokens, piece_count=piece_count, content=content)
    vocabulary.blank_end = blank_end
    return vocabulary


def _text(tokens: Sequence[str]) -> bytes:
    return "".join(f"{token}\n" for token in tokens).encode("utf-8")
