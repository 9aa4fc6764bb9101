"""The tokenizer as TensorFlow operations, so that a SavedModel takes text: the same ids as in Python.

Normalization is a table in the graph (`normalization.ReplacementTable`), applied code point by code point;
only the last step, WordPiece on finished words, is an operation of tensorflow-text.
"""

from __future__ import annotations

import functools
import sys

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from kbert.text import normalization
from kbert.text.vocabulary import CONTINUATION, UNKNOWN, Vocabulary
from kbert.text.wordpiece import MAX_WORD_LENGTH

_PAGE = 256
_SELF = -1
_SPACE = ord(" ")


class GraphTokenizer(tf.Module):
    """Tokenizes inside a TF graph.

    Args:
        vocabulary: The pieces.
        lowercase: Lower-case and strip accents, as the uncased models do.
    """

    def __init__(self, vocabulary: Vocabulary, *, lowercase: bool) -> None:
        super().__init__(name="graph_tokenizer")
        self.vocabulary = vocabulary
        self.lowercase = lowercase
        self._normalize = _character_normalizer(lowercase)
        self._wordpiece = tf_text.FastWordpieceTokenizer(
            vocab=list(vocabulary.tokens),
            suffix_indicator=CONTINUATION,
            # Long words are made [UNK] here, by characters; this limit counts bytes.
            max_bytes_per_word=4 * (MAX_WORD_LENGTH + 1),
            token_out_type=tf.int32,
            unknown_token=UNKNOWN,
            no_pretokenization=True,
        )
        # A word that no piece can spell, to stand for words that are too long. Noncharacters are
        # never in text (U+FFFE and U+FFFF end each plane).
        self._unspellable = next(
            chr(code_point)
            for code_point in range(0x1FFFF, sys.maxunicode + 1, 0x10000)
            if chr(code_point) not in vocabulary
        )

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes `texts`, UTF-8 strings [B], to ids, a RaggedTensor int32 [B, None], no special tokens."""
        normalized = self._normalize(texts)
        words = tf.strings.split(normalized, sep=" ")
        lengths = tf.strings.length(words.flat_values, unit="UTF8_CHAR")
        keep = lengths > 0
        too_long = lengths > MAX_WORD_LENGTH
        flat = tf.where(too_long, tf.constant(self._unspellable), words.flat_values)
        words = tf.ragged.boolean_mask(words.with_flat_values(flat), words.with_flat_values(keep))
        pieces = self._wordpiece.tokenize(words.flat_values)
        return words.with_flat_values(pieces).merge_dims(1, 2)


class _CharacterNormalizer:
    """Applies a ReplacementTable to strings, in a graph.

    The table has three levels, so that 1,114,112 code points take some 100 kB: code point → page of 256
    entries (equal pages are kept once) → kind of replacement → characters, where _SELF stands for the
    character itself. Most characters are their own replacement, and so of one kind.
    """

    def __init__(self, lowercase: bool) -> None:
        self.lowercase = lowercase
        table = normalization.ReplacementTable(lowercase)
        kinds: dict[tuple[int, ...], int] = {(_SELF,): 0}
        pages: dict[bytes, int] = {}
        page_of = np.zeros((sys.maxunicode + 1) // _PAGE, np.int32)
        for page in range(len(page_of)):
            first = page * _PAGE
            entries = np.fromiter(
                (
                    kinds.setdefault(_pattern(code_point, table), len(kinds))
                    for code_point in range(first, first + _PAGE)
                )
                if _may_change(first)
                else (0 for _ in range(_PAGE)),
                np.int32,
                _PAGE,
            )
            page_of[page] = pages.setdefault(entries.tobytes(), len(pages))
        self._page_of = page_of
        self._entries = np.concatenate([np.frombuffer(page, np.int32) for page in pages])
        lengths = np.array([len(kind) for kind in kinds], np.int32)
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int32)
        self._limits = self._starts + lengths
        self._characters = np.array([c for kind in kinds for c in kind], np.int32)
        self._sigma = _FinalSigma() if lowercase else None

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Normalizes `texts`, strings [B], to words separated by spaces, strings [B]."""
        code_points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace", replace_control_characters=False)
        flat = code_points.flat_values
        if self._sigma is not None:
            flat = tf.cond(
                tf.reduce_any(flat == ord(normalization.SIGMA)),
                lambda: self._sigma(code_points),
                lambda: flat,
            )
        kinds = self.kinds(flat)
        replaced = tf.ragged.range(tf.gather(self._starts, kinds), tf.gather(self._limits, kinds))
        characters = tf.gather(self._characters, replaced.flat_values)
        itself = tf.gather(flat, replaced.value_rowids())
        characters = tf.where(characters == _SELF, itself, characters)
        rows = code_points.with_flat_values(replaced.with_values(characters)).merge_dims(1, 2)
        return tf.strings.unicode_encode(rows, "UTF-8")

    def kinds(self, code_points: tf.Tensor) -> tf.Tensor:
        """The kind of replacement of each code point, int32 [N] → int32 [N]."""
        pages = tf.gather(self._page_of, code_points // _PAGE)
        return tf.gather(self._entries, pages * _PAGE + code_points % _PAGE)


@functools.cache
def _character_normalizer(lowercase: bool) -> _CharacterNormalizer:
    """One per setting and process: laying out the table takes a second, and it is the same for all."""
    return _CharacterNormalizer(lowercase)


class _FinalSigma:
    """Writes ς for the capital sigmas that Python's `lower()` would make final, in a graph."""

    _OTHER, _CASED, _IGNORED = 0, 1, 2

    def __init__(self) -> None:
        classes = np.zeros(sys.maxunicode + 1, np.int8)
        for first in range(0, sys.maxunicode + 1, _PAGE):
            # CJK ideographs and Hangul syllables have no case.
            if (
                not _may_change(first)
                or 0x3400 <= first < 0xA000
                or 0xAC00 <= first < 0xD800
                or 0x20000 <= first < 0x40000
            ):
                continue
            for code_point in range(first, first + _PAGE):
                character = chr(code_point)
                if normalization.is_dropped(character):
                    classes[code_point] = self._IGNORED
                elif normalization.is_whitespace(character) or normalization.is_cjk(code_point):
                    classes[code_point] = self._OTHER
                elif normalization.is_cased(character):
                    classes[code_point] = self._CASED
                elif normalization.is_case_ignorable(character):
                    classes[code_point] = self._IGNORED
        pages: dict[bytes, int] = {}
        rows = classes.reshape(-1, _PAGE)
        self._page_of = np.array([pages.setdefault(row.tobytes(), len(pages)) for row in rows], np.int32)
        self._entries = np.concatenate([np.frombuffer(page, np.int8) for page in pages]).astype(np.int32)

    def __call__(self, code_points: tf.RaggedTensor) -> tf.Tensor:
        """Takes code points, RaggedTensor int32 [B, None]; gives its flat values with final sigmas, int32 [N]."""
        flat = code_points.flat_values
        rows = code_points.value_rowids()
        pages = tf.gather(self._page_of, flat // _PAGE)
        classes = tf.gather(self._entries, pages * _PAGE + flat % _PAGE)
        counts = tf.cast(classes != self._IGNORED, tf.int32)
        # The characters that count, with a caseless one of no row at both ends: rank r is entry r + 1.
        edge = tf.constant([self._OTHER])
        counted = tf.concat([edge, tf.boolean_mask(classes, counts > 0), edge], 0)
        no_row = tf.constant([-1], rows.dtype)
        counted_rows = tf.concat([no_row, tf.boolean_mask(rows, counts > 0), no_row], 0)
        rank = tf.cumsum(counts, exclusive=True)

        def cased_neighbour(entry: tf.Tensor) -> tf.Tensor:
            return (tf.gather(counted, entry) == self._CASED) & (tf.gather(counted_rows, entry) == rows)

        # A sigma counts itself, so its own entry is rank + 1 and its neighbours' are rank and rank + 2.
        last = tf.shape(counted)[0] - 1
        final = cased_neighbour(rank) & ~cased_neighbour(tf.minimum(rank + 2, last))
        return tf.where((flat == ord(normalization.SIGMA)) & final, ord("ς"), flat)


def _may_change(first: int) -> bool:
    """Whether the page at `first` can hold a character that normalization changes.

    Planes 4 to 13, 15 and 16 hold nothing, or private characters that stay as they are.
    """
    return first < 0x40000 or 0xE0000 <= first < 0xF0000


def _pattern(code_point: int, table: normalization.ReplacementTable) -> tuple[int, ...]:
    if 0xD800 <= code_point <= 0xDFFF:
        return (_SELF,)  # surrogates are not characters, and never come out of UTF-8
    return tuple(_SELF if ord(c) == code_point else ord(c) for c in table[code_point])
