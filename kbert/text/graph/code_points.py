"""The code points for which tables in the graph have entries of their own."""

from __future__ import annotations

import functools
import unicodedata

import numpy as np

from kbert.text.replacement_table import CJK_RANGES, is_cjk

_COMPATIBILITY = ((0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
"""The ideographs that Unicode decomposes, so that each has its own replacement."""


@functools.cache
def changing_code_points() -> np.ndarray:
    """Returns the code points that normalization may change, int [N], ascending.

    The other code points are unified ideographs (see `unified_ideographs`), unassigned or private characters, which
    change only in the blocks of ideographs, and surrogates, which are not characters and do not occur in UTF-8.
    """
    candidates = np.setdiff1d(
        np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x40000), np.arange(0xE0000, 0xF0000)]),
        unified_ideographs(),
        assume_unique=True,
    )
    changing = [unicodedata.category(chr(each)) not in ("Cn", "Co") or is_cjk(each) for each in candidates.tolist()]
    return candidates[changing]


@functools.cache
def unified_ideographs() -> np.ndarray:
    """Returns the code points of the blocks of unified CJK ideographs, int [N]. All have the same properties.

    Those that are not assigned yet are included: the original release separates them like the others.
    """
    blocks = [np.arange(first, last + 1) for first, last in CJK_RANGES if (first, last) not in _COMPATIBILITY]
    return np.concatenate(blocks)
