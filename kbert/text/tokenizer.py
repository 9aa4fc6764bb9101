"""The tokenizer, which converts text to ids and offsets. The ids are the same as those of the original BERT."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kbert.errors import UsageError
from kbert.text.added_tokens import TextTokens
from kbert.text.encoding import Encoding
from kbert.text.normalization import Normalizer, table_of
from kbert.text.settings import BERT, MAX_WORD_LENGTH, AddedToken, TokenizerSettings
from kbert.text.truncation import Truncation, check_truncation, kept_lengths, window_starts
from kbert.text.vocabulary import CONTINUATION, SPECIAL_TOKENS, Vocabulary
from kbert.text.wordpiece import WordPiece

if TYPE_CHECKING:
    from kbert.text.graph.tokenizer import GraphTokenizer


@dataclasses.dataclass(frozen=True)
class _Token:
    id: int
    start: int
    end: int


class Tokenizer:
    """BERT's tokenizer.

    Args:
        vocabulary: A vocab.txt, or a `Vocabulary`. Added tokens that it does not contain get the ids after its own, in
            order.
        lowercase: Whether to lower-case text: true for uncased models, false for cased models. (Functions that mirror
            commands have the opposite argument, `cased`.)
        strip_accents: Whether to strip accents, and with them the vowel signs of many scripts. None strips them if
            `lowercase` is true.
        chinese_characters: Whether to make each CJK ideograph a word.
        special_tokens_in_text: Whether special tokens in text become their ids, as in Hugging Face's tokenizers. If
            false, "[MASK]" in text is split like other text, as in the original release.
        added_tokens: The tokens that are found in text as a whole. Tokens that are not special are always found.
        never_split: Words between white space that are passed to WordPiece without normalization.
        max_word_length: The length in characters above which a word becomes [UNK]; 200 in the original release.
        model_max_length: The maximum input length of the model in tokens, for other tools. It does not truncate texts.
        normalization: "bert", or "mediapipe" for the ids that MediaPipe gives to text on phones; see
            `TokenizerSettings`.

    Example:
        >>> tokenizer = kbert.Tokenizer("vocab.txt", lowercase=True)
        >>> tokenizer.encode("The cats sat.").tokens
        ['[CLS]', 'the', 'cat', '##s', 'sat', '.', '[SEP]']

    Raises:
        VocabularyError: The vocabulary is invalid.
        UsageError: A setting is invalid.
    """

    def __init__(
        self,
        vocabulary: str | os.PathLike[str] | Vocabulary,
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        chinese_characters: bool = True,
        special_tokens_in_text: bool = False,
        added_tokens: Iterable[AddedToken] = (),
        never_split: Iterable[str] = (),
        max_word_length: int = MAX_WORD_LENGTH,
        model_max_length: int | None = None,
        normalization: str = BERT,
    ) -> None:
        if not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary.from_file(vocabulary)
        self.settings = TokenizerSettings(
            lowercase=lowercase,
            strip_accents=strip_accents,
            chinese_characters=chinese_characters,
            special_tokens_in_text=special_tokens_in_text,
            added_tokens=tuple(added_tokens),
            never_split=tuple(never_split),
            max_word_length=max_word_length,
            model_max_length=model_max_length,
            normalization=normalization,
        )
        self.vocabulary = vocabulary.with_added([token.content for token in self.settings.added_tokens])
        self.wordpiece = WordPiece(
            self.vocabulary, max_word_length=max_word_length, max_word_bytes=self.settings.max_word_bytes
        )
        table = table_of(self.settings)
        self.text_tokens = TextTokens.of(self.vocabulary, self.settings, table, self.wordpiece)
        if self.text_tokens:
            self.wordpiece.given = self.text_tokens.pieces
        self.normalizer = Normalizer(lowercase, table=table, text_tokens=self.text_tokens)
        self._special = {*SPECIAL_TOKENS, *(token.content for token in self.settings.added_tokens if token.special)}

    @classmethod
    def from_settings(cls, vocabulary: Vocabulary, settings: TokenizerSettings) -> Tokenizer:
        """Returns the tokenizer with a vocabulary and settings."""
        return cls(vocabulary, **{field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)})

    def replace(self, **changes: Any) -> Tokenizer:
        """Returns a copy with some settings changed.

        Args:
            changes: The new values by name, see `TokenizerSettings`.
        """
        return self.from_settings(self.vocabulary, dataclasses.replace(self.settings, **changes))

    @property
    def lowercase(self) -> bool:
        """Whether text is lower-cased."""
        return self.settings.lowercase

    def ids(self, text: str) -> list[int]:
        """Returns the ids of `text` without special tokens. This is faster than `encode`."""
        return self.wordpiece.ids(self.normalizer.words(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Returns (start, end) in characters of each token of `text`, without special tokens."""
        return [(token.start, token.end) for token in self._tokens(text)]

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        add_special_tokens: bool = True,
        max_length: int | None = None,
        truncation: Truncation = "longest_first",
        pad_to: int | None = None,
    ) -> Encoding:
        """Encodes a text, or a pair of texts.

        Args:
            text: The text.
            pair: The second text of a pair.
            add_special_tokens: Whether to add special tokens: [CLS] text [SEP] pair [SEP].
            max_length: The maximum number of tokens, including special tokens. Longer texts are truncated.
            truncation: The text that loses tokens from its end: "longest_first", "only_first" or "only_second".
            pad_to: The number of tokens up to which [PAD] is added.

        Raises:
            UsageError: `max_length` leaves no room for the special tokens or for the text to truncate, or `truncation`
                is invalid.
        """
        first = self._tokens(text)
        second = None if pair is None else self._tokens(pair)
        check_truncation(truncation)
        if max_length is not None:
            room = _room(max_length, second is not None, add_special_tokens)
            keep_first, keep_second = kept_lengths(
                len(first), None if second is None else len(second), room, truncation
            )
            first = first[:keep_first]
            second = None if second is None else second[:keep_second]
        encoding = self._assemble(first, second, add_special_tokens)
        if pad_to is not None and len(encoding) < pad_to:
            self._pad(encoding, pad_to - len(encoding))
        return encoding

    def windows(
        self,
        text: str,
        pair: str | None = None,
        *,
        max_length: int,
        stride: int,
        truncation: Truncation = "longest_first",
        add_special_tokens: bool = True,
    ) -> list[Encoding]:
        """Encodes a text or a pair in as many windows as necessary, without truncation.

        Hugging Face's tokenizers call this `return_overflowing_tokens`.

        Args:
            text: The text.
            pair: The second text of a pair.
            max_length: The maximum number of tokens per window, including special tokens.
            stride: The number of tokens of the split text that consecutive windows share.
            truncation: The text of a pair that is split into windows: "only_first" or "only_second". Each window
                contains the whole other text.
            add_special_tokens: Whether to add special tokens: [CLS] text [SEP] pair [SEP].

        Raises:
            UsageError: `truncation` is invalid or does not name a text of the pair, the other text leaves no room, or
                `stride` is not less than the room for the split text.
        """
        first = self._tokens(text)
        second = None if pair is None else self._tokens(pair)
        check_truncation(truncation)
        if second is not None and truncation == "longest_first":
            raise UsageError(
                "windows over a pair need truncation 'only_first' or 'only_second'. Received: longest_first"
            )
        room = _room(max_length, second is not None, add_special_tokens)
        kept = kept_lengths(len(first), None if second is None else len(second), room, truncation)
        slides = truncation == "only_second"
        sliding = second if slides and second is not None else first
        starts = window_starts(len(sliding), kept[slides], stride)
        encodings = []
        for index, start in enumerate(starts):
            part = sliding[start : start + kept[slides]]
            both = (first, part) if slides else (part, second)
            encoding = self._assemble(*both, add_special_tokens)
            encoding.window, encoding.window_count, encoding.window_start = index, len(starts), start
            encodings.append(encoding)
        return encodings

    def encode_batch(
        self,
        texts: Iterable[str],
        pairs: Iterable[str] | None = None,
        *,
        add_special_tokens: bool = True,
        max_length: int | None = None,
        truncation: Truncation = "longest_first",
        pad: bool = False,
    ) -> list[Encoding]:
        """Encodes several texts or pairs.

        Args:
            texts: The texts.
            pairs: The second texts of pairs.
            add_special_tokens: Whether to add special tokens: [CLS] text [SEP] pair [SEP].
            max_length: The maximum number of tokens, including special tokens. Longer texts are truncated.
            truncation: The text that loses tokens from its end: "longest_first", "only_first" or "only_second".
            pad: Whether to add [PAD] up to the length of the longest encoding.

        Raises:
            UsageError: The numbers of texts and pairs differ, or an option is invalid (see `encode`).
        """
        texts = list(texts)
        seconds: Sequence[str | None] = [None] * len(texts) if pairs is None else list(pairs)
        if len(seconds) != len(texts):
            raise UsageError(f"expected as many pairs as texts. Received: {len(texts)} and {len(seconds)}")
        encodings = [
            self.encode(text, pair, add_special_tokens=add_special_tokens, max_length=max_length, truncation=truncation)
            for text, pair in zip(texts, seconds, strict=True)
        ]
        if pad:
            longest = max(map(len, encodings), default=0)
            for encoding in encodings:
                self._pad(encoding, longest - len(encoding))
        return encodings

    def decode(self, ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        """Converts ids to text: pieces are joined to words, and words are separated by spaces.

        Case, accents and spacing that normalization removed are lost.

        Args:
            ids: The ids.
            skip_special_tokens: Whether to leave out special tokens.
        """
        words: list[str] = []
        for index in ids:
            token = self.vocabulary[index]
            if skip_special_tokens and token in self._special:
                continue
            if token.startswith(CONTINUATION) and words:
                words[-1] += token[len(CONTINUATION) :]
            else:
                words.append(token)
        return " ".join(words)

    def to_graph(self) -> GraphTokenizer:
        """Returns this tokenizer as TensorFlow operations: strings [B] → RaggedTensor int32 [B, None]."""
        from kbert.text.graph.tokenizer import GraphTokenizer

        return GraphTokenizer(self.vocabulary, self.settings, self.text_tokens)

    def _tokens(self, text: str) -> list[_Token]:
        tokens = []
        for word in self.normalizer.words_with_sources(text):
            pieces = self.wordpiece.pieces(word.text)
            limits = [start for _, start in pieces[1:]] + [len(word.starts)]
            for (piece, start), limit in zip(pieces, limits, strict=True):
                tokens.append(_Token(piece, word.starts[start], word.ends[limit - 1]))
        return tokens

    def _assemble(self, first: list[_Token], second: list[_Token] | None, add_special_tokens: bool) -> Encoding:
        vocabulary = self.vocabulary
        separator = [_Token(vocabulary.sep_id, 0, 0)]
        special = [0] * len(first)
        if add_special_tokens:
            first = [_Token(vocabulary.cls_id, 0, 0), *first, *separator]
            special = [1, *special, 1]
        if second is not None:
            special += [0] * len(second)
            if add_special_tokens:
                second = second + separator
                special.append(1)
        tokens = first + (second or [])
        return Encoding(
            ids=[token.id for token in tokens],
            tokens=[vocabulary[token.id] for token in tokens],
            offsets=[(token.start, token.end) for token in tokens],
            type_ids=[0] * len(first) + [1] * len(second or ()),
            attention_mask=[1] * len(tokens),
            special_tokens_mask=special,
        )

    def _pad(self, encoding: Encoding, count: int) -> None:
        encoding.ids += [self.vocabulary.pad_id] * count
        encoding.tokens += [self.vocabulary[self.vocabulary.pad_id]] * count
        encoding.offsets += [(0, 0)] * count
        encoding.type_ids += [0] * count
        encoding.attention_mask += [0] * count
        encoding.special_tokens_mask += [1] * count


def _room(max_length: int, paired: bool, add_special_tokens: bool) -> int:
    """Returns the number of tokens of text that fit into `max_length`.

    Raises:
        UsageError: `max_length` is less than the number of special tokens.
    """
    room = max_length - (3 if paired else 2) * add_special_tokens
    if room < 0:
        raise UsageError(f"max_length must leave room for the special tokens. Received: max_length={max_length}")
    return room
