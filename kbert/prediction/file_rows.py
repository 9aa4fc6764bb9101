"""The rows of a file that a model answers for: parts of them, and their columns that predictions keep."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kbert.errors import UsageError


def parts_of_rows(rows: Iterable[Any], size: int, skip: int, stop: int | None) -> Iterator[list[Any]]:
    """Yields rows in parts, from row `skip` to row `stop`.

    Args:
        rows: The rows.
        size: The number of rows of a part; the last part may be smaller.
        skip: The number of rows that are left out at the beginning.
        stop: The number of the row after the last one; None for all rows.
    """
    rows = itertools.islice(rows, skip, stop)
    while part := list(itertools.islice(rows, size)):
        yield part


def check_no_columns(input: Any, keep: Sequence[str]) -> None:
    """Checks that no columns are to be kept of a file that is not a table.

    Args:
        input: The file, for the message.
        keep: The columns to keep.

    Raises:
        UsageError: There are such columns.
    """
    if keep:
        raise UsageError(
            f"{input}: expected a table or JSON lines, which have columns to keep. Received: a file of another format, "
            "such as a text on each line or SQuAD's; leave the columns out"
        )


def with_kept_columns(kept: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a prediction with the kept columns of its row in front.

    Raises:
        UsageError: A column has the name of a key of the prediction, and a different value.
    """
    for name, value in kept.items():
        if name in prediction and prediction[name] != value:
            raise UsageError(f"predictions have a key {name!r} of their own; rename the column to keep it")
    return {**kept, **prediction}
