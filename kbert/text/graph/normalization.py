"""Normalizes text with TensorFlow operations, using the table that `kbert.text.normalization` uses in Python."""

from __future__ import annotations

import functools
import sys

import numpy as np
import tensorflow as tf

from kbert.text import replacement_table
from kbert.text.graph.code_points import changing_code_points, unified_ideographs
from kbert.text.normalization import table_of
from kbert.text.settings import BERT, TokenizerSettings

_PAGE = 256
_SELF = -1


class PagedTable:
    """A table that maps code points to integers, in pages of 256 entries. Equal pages are stored once.

    Args:
        entries: The integer of each Unicode code point, int32 [1114112].
    """

    def __init__(self, entries: np.ndarray) -> None:
        pages: dict[bytes, int] = {}
        rows = entries.astype(np.int32).reshape(-1, _PAGE)
        self._page_of = np.array([pages.setdefault(row.tobytes(), len(pages)) for row in rows], np.int32)
        self._entries = np.concatenate([np.frombuffer(page, np.int32) for page in pages])

    def __call__(self, code_points: tf.Tensor) -> tf.Tensor:
        """Returns the integer of each code point, int32 [N] → int32 [N]."""
        pages = tf.gather(self._page_of, code_points // _PAGE)
        return tf.gather(self._entries, pages * _PAGE + code_points % _PAGE)


class GraphNormalizer:
    """Applies a ReplacementTable to code points in a graph.

    The table has three levels, so that 1,114,112 code points take some 100 kB: code point → page of 256 entries → kind
    of replacement → characters, where _SELF stands for the character itself. Most characters are their own replacement,
    so they share one kind.

    Args:
        table: The table.
    """

    def __init__(self, table: replacement_table.ReplacementTable) -> None:
        self.ends_at_nul = table.ends_at_nul
        kinds: dict[tuple[int, ...], int] = {(_SELF,): 0}
        entries = np.zeros(sys.maxunicode + 1, np.int32)
        for code_point in [*changing_code_points().tolist(), *table.newer_punctuation]:
            entries[code_point] = kinds.setdefault(_pattern(code_point, table), len(kinds))
        ideographs = unified_ideographs()
        entries[ideographs] = kinds.setdefault(_pattern(int(ideographs[0]), table), len(kinds))
        self.kinds = PagedTable(entries)
        lengths = np.array([len(kind) for kind in kinds], np.int32)
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int32)
        self._limits = self._starts + lengths
        self._characters = np.array([c for kind in kinds for c in kind], np.int32)
        self._sigma = _FinalSigma() if table.final_sigmas else None

    def __call__(self, code_points: tf.RaggedTensor) -> tf.RaggedTensor:
        """Normalizes text. Words in the result are separated by spaces.

        Args:
            code_points: The code points of texts, RaggedTensor int32 [B, N].

        Returns:
            The replacement of each code point, RaggedTensor int32 [B, N, M].
        """
        flat = code_points.flat_values
        if self._sigma is not None:
            flat = tf.cond(
                tf.reduce_any(flat == ord(replacement_table.SIGMA)),
                lambda: self._sigma(code_points),
                lambda: flat,
            )
        kinds = self.kinds(flat)
        replaced = tf.ragged.range(tf.gather(self._starts, kinds), tf.gather(self._limits, kinds))
        characters = tf.gather(self._characters, replaced.flat_values)
        itself = tf.gather(flat, replaced.value_rowids())
        characters = tf.where(characters == _SELF, itself, characters)
        return code_points.with_flat_values(replaced.with_values(characters))


@functools.cache
def graph_normalizer(
    lowercase: bool, strip_accents: bool, chinese_characters: bool, normalization: str = BERT
) -> GraphNormalizer:
    """Returns the normalizer for these settings, created once per process, since building the table takes a second."""
    settings = TokenizerSettings(
        lowercase=lowercase,
        strip_accents=strip_accents,
        chinese_characters=chinese_characters,
        normalization=normalization,
    )
    return GraphNormalizer(table_of(settings))


def until_nul(code_points: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the code points of each text before its first NUL, RaggedTensor int32 [B, N] → [B, M]."""
    nuls = tf.cumsum(tf.cast(code_points.flat_values == 0, tf.int32))
    before_text = tf.gather(tf.pad(nuls, [[1, 0]]), code_points.row_starts())
    kept = nuls == tf.gather(before_text, code_points.value_rowids())
    return tf.ragged.boolean_mask(code_points, code_points.with_flat_values(kept))


class _FinalSigma:
    """Replaces the capital sigmas that Python's `lower()` makes final by ς, in a graph."""

    _OTHER, _CASED, _IGNORED = 0, 1, 2

    def __init__(self) -> None:
        classes = np.zeros(sys.maxunicode + 1, np.int32)
        for code_point in changing_code_points().tolist():
            if 0xAC00 <= code_point < 0xD800:  # Hangul syllables have no case
                continue
            character = chr(code_point)
            if replacement_table.is_dropped(character):
                classes[code_point] = self._IGNORED
            elif replacement_table.is_whitespace(character) or replacement_table.is_cjk(code_point):
                classes[code_point] = self._OTHER
            elif replacement_table.is_cased(character):
                classes[code_point] = self._CASED
            elif replacement_table.is_case_ignorable(character):
                classes[code_point] = self._IGNORED
        self._class_of = PagedTable(classes)

    def __call__(self, code_points: tf.RaggedTensor) -> tf.Tensor:
        """Returns the flat values of code points, RaggedTensor int32 [B, None], with final sigmas, int32 [N]."""
        flat = code_points.flat_values
        rows = code_points.value_rowids()
        classes = self._class_of(flat)
        counts = tf.cast(classes != self._IGNORED, tf.int32)
        # The characters that are not ignored, with a caseless character that belongs to no row at both ends. So the
        # character of rank r is entry r + 1.
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
        return tf.where((flat == ord(replacement_table.SIGMA)) & final, ord("ς"), flat)


def _pattern(code_point: int, table: replacement_table.ReplacementTable) -> tuple[int, ...]:
    return tuple(_SELF if ord(c) == code_point else ord(c) for c in table[code_point])
