"""Finds the capital sigmas that lower-casing makes final: the only rule of normalization that reads neighbours."""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping

import tensorflow as tf

from kbert.text import replacement_table
from kbert.text.graph.code_points import changing_code_points


class Casing(enum.IntEnum):
    """How a character acts on the form of a sigma beside it."""

    OTHER = 0
    CASED = 1
    IGNORED = 2


@functools.cache
def casings() -> Mapping[int, Casing]:
    """Returns the code points whose casing is not OTHER. White space and ideographs end a word, so they are OTHER."""
    found = {}
    for code_point in changing_code_points().tolist():
        character = chr(code_point)
        if replacement_table.is_dropped(character):
            found[code_point] = Casing.IGNORED
        elif (
            0xAC00 <= code_point < 0xD800  # Hangul syllables have no case
            or replacement_table.is_whitespace(character)
            or replacement_table.is_cjk(code_point)
        ):
            continue
        elif replacement_table.is_cased(character):
            found[code_point] = Casing.CASED
        elif replacement_table.is_case_ignorable(character):
            found[code_point] = Casing.IGNORED
    return found


def stands_last(casing: tf.Tensor) -> tf.Tensor:
    """Returns whether a sigma at each position is final: behind a cased character, and not before another one.

    Args:
        casing: The `Casing` of each character, int32 [N].

    Returns:
        Whether the form at the end of a word is used, bool [N].
    """
    count = casing.shape[0]
    counts = tf.cast(tf.not_equal(casing, Casing.IGNORED), tf.int32)
    rank = tf.cumsum(counts) - counts
    # The characters that count, with an OTHER at both ends: that of rank r is entry r + 1. The last entry is unused.
    entries = tf.where(counts > 0, rank + 1, count + 2)
    counted = tf.scatter_nd(entries[:, None], casing, [count + 3])
    # A sigma counts itself, so its neighbours are the entries rank and rank + 2.
    before, after = tf.gather(counted, rank), tf.gather(counted, rank + 2)
    return tf.equal(before, Casing.CASED) & tf.not_equal(after, Casing.CASED)
