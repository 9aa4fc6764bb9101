"""The shapes of the inputs of a LiteRT file."""

from __future__ import annotations

from collections.abc import Sequence


def fixed_shape(shape: Sequence[int], sequence_length: int | None) -> list[int] | None:
    """Returns the shape with which an input is measured, or None if it is not known.

    Args:
        shape: The sizes of the dimensions; -1 for those that the file does not fix.
        sequence_length: The size of the dimensions that the file does not fix. The first of several dimensions is the
            batch, whose size is 1.
    """
    if -1 not in shape:
        return list(shape)
    if sequence_length is None:
        return None
    return [
        size if size != -1 else 1 if place == 0 and len(shape) > 1 else sequence_length
        for place, size in enumerate(shape)
    ]
