"""Likes as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse


def like_matrix(histories: Sequence[Sequence[str]], place: Mapping[str, int]) -> sparse.csr_matrix:
    """Returns 1 where a user likes an item, float32 [users, items].

    Args:
        histories: The likes of each user.
        place: The columns of the items, by id.
    """
    rows = [row for row, history in enumerate(histories) for _ in history]
    columns = [place[item] for history in histories for item in history]
    ones = np.ones(len(rows), np.float32)
    matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(len(histories), len(place)))
    matrix.data[:] = 1.0  # an item that was liked twice counts once
    return matrix
