"""The largest field of Python's csv module, which is a setting of the whole process."""

from __future__ import annotations

import csv
from collections.abc import Iterator


def next_row(rows: Iterator[list[str]], largest: int) -> list[str]:
    """Returns the next row of a `csv.reader`, whose fields may have up to `largest` characters.

    The limit of the process, 131,072 characters unless a program changes it, is restored before the function returns.

    Args:
        rows: The reader.
        largest: The largest number of characters of a field.

    Raises:
        csv.Error: The row is invalid.
        StopIteration: There are no more rows.
    """
    before = csv.field_size_limit(largest)
    try:
        return next(rows)
    finally:
        csv.field_size_limit(before)
