"""The tokenizer: text to ids and offsets, the same ids as the original BERT's."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kbert.errors import UsageError
from kbert.text.normalization import Normalizer
from kbert.text.vocabulary import CONTINUATION, SPECIAL_TOKENS, Vocabulary
from kbert.text.wordpiece import WordPiece

if TYPE_CHECKING:
    from kbert.text.graph_tokenizer import GraphTokenizer


@dataclasses.dataclass
class Encoding:
    """What a tokenizer makes of a text or a pair. All lists have one entry a token."""

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    """(start, end) in characters of the text that the token comes from; (0, 0) for special tokens."""
    type_ids: list[int]
    """0 for the first text, 1 for the second."""
    attention_mask: list[int]
    """1 for tokens, 0 for padding."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclasses.dataclass(frozen=True)
class _Token:
    id: int
    start: int
    end: int


class Tokenizer:
    """BERT's tokenizer.

    Args:
        vocabulary: A vocab.txt, or a `Vocabulary`.
        lowercase: Lower-case and strip accents: true for uncased models, false for cased ones.

    Example:
        >>> tokenizer = Tokenizer("vocab.txt", lowercase=True)
        >>> tokenizer.encode("Café au lait").tokens
        ['[CLS]', 'cafe', 'au', 'lait', '[SEP]']

    Raises:
        VocabularyError: The vocabulary cannot be used.
    """

    def __init__(self, vocabulary: str | os.PathLike[str] | Vocabulary, *, lowercase: bool = True) -> None:
        if not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary.from_file(vocabulary)
        self.vocabulary = vocabulary
        self.lowercase = lowercase
        self.normalizer = Normalizer(lowercase)
        self.wordpiece = WordPiece(vocabulary)

    def ids(self, text: str) -> list[int]:
        """The ids of `text`, without special tokens: the fast path of corpus building."""
        return self.wordpiece.ids(self.normalizer.words(text))

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        add_special_tokens: bool = True,
        max_length: int | None = None,
        pad_to: int | None = None,
    ) -> Encoding:
        """Encodes a text, or a pair of texts.

        Args:
            text: The text.
            pair: The second text of a pair.
            add_special_tokens: Give [CLS] text [SEP] pair [SEP] rather than the bare tokens.
            max_length: Cut to so many tokens, special ones included, from the end of the longer text first.
            pad_to: Add [PAD] up to so many tokens.

        Raises:
            UsageError: `max_length` leaves no room for the special tokens.
        """
        first = self._tokens(text)
        second = None if pair is None else self._tokens(pair)
        if max_length is not None:
            room = max_length
            if add_special_tokens:
                room -= 2 if second is None else 3
            if room < 0:
                raise UsageError(
                    f"max_length must leave room for the special tokens. Received: max_length={max_length}"
                )
            keep_first, keep_second = truncated_lengths(len(first), len(second or ()), room)
            first = first[:keep_first]
            second = None if second is None else second[:keep_second]
        encoding = self._assemble(first, second, add_special_tokens)
        if pad_to is not None and len(encoding) < pad_to:
            self._pad(encoding, pad_to - len(encoding))
        return encoding

    def encode_batch(
        self,
        texts: Iterable[str],
        pairs: Iterable[str] | None = None,
        *,
        add_special_tokens: bool = True,
        max_length: int | None = None,
        pad: bool = False,
    ) -> list[Encoding]:
        """Encodes several texts, or pairs; with `pad`, all to the length of the longest.

        Raises:
            UsageError: There are not as many pairs as texts.
        """
        texts = list(texts)
        seconds: Sequence[str | None] = [None] * len(texts) if pairs is None else list(pairs)
        if len(seconds) != len(texts):
            raise UsageError(f"expected as many pairs as texts. Received: {len(texts)} and {len(seconds)}")
        encodings = [
            self.encode(text, pair, add_special_tokens=add_special_tokens, max_length=max_length)
            for text, pair in zip(texts, seconds, strict=True)
        ]
        if pad:
            longest = max(map(len, encodings), default=0)
            for encoding in encodings:
                self._pad(encoding, longest - len(encoding))
        return encodings

    def decode(self, ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        """Writes ids as text: pieces joined to words, words separated by spaces.

        Case, accents and spacing that normalization removed cannot come back.
        """
        words: list[str] = []
        for index in ids:
            token = self.vocabulary[index]
            if skip_special_tokens and token in SPECIAL_TOKENS:
                continue
            if token.startswith(CONTINUATION) and words:
                words[-1] += token[len(CONTINUATION) :]
            else:
                words.append(token)
        return " ".join(words)

    def to_graph(self) -> GraphTokenizer:
        """The same tokenizer as TensorFlow operations: strings [B] → RaggedTensor int32 [B, None]."""
        from kbert.text.graph_tokenizer import GraphTokenizer

        return GraphTokenizer(self.vocabulary, lowercase=self.lowercase)

    def _tokens(self, text: str) -> list[_Token]:
        tokens = []
        for word, sources in self.normalizer.words_with_sources(text):
            pieces = self.wordpiece.pieces(word)
            ends = [start for _, start in pieces[1:]] + [len(word)]
            for (piece, start), end in zip(pieces, ends, strict=True):
                tokens.append(_Token(piece, sources[start], sources[end - 1] + 1))
        return tokens

    def _assemble(self, first: list[_Token], second: list[_Token] | None, add_special_tokens: bool) -> Encoding:
        vocabulary = self.vocabulary
        separator = [_Token(vocabulary.separator_id, 0, 0)]
        if add_special_tokens:
            first = [_Token(vocabulary.classification_id, 0, 0), *first, *separator]
            second = None if second is None else second + separator
        tokens = first + (second or [])
        return Encoding(
            ids=[token.id for token in tokens],
            tokens=[vocabulary[token.id] for token in tokens],
            offsets=[(token.start, token.end) for token in tokens],
            type_ids=[0] * len(first) + [1] * len(second or ()),
            attention_mask=[1] * len(tokens),
        )

    def _pad(self, encoding: Encoding, count: int) -> None:
        encoding.ids += [self.vocabulary.pad_id] * count
        encoding.tokens += [self.vocabulary[self.vocabulary.pad_id]] * count
        encoding.offsets += [(0, 0)] * count
        encoding.type_ids += [0] * count
        encoding.attention_mask += [0] * count


def truncated_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of a pair remains when the longer text loses its last token until both fit.

    Of texts of equal length the second loses first (`_truncate_seq_pair` of the original).
    """
    if first + second <= room:
        return first, second
    return min(first, max(room - second, (room + 1) // 2)), min(second, max(room - first, room // 2))
