"""Rows that cannot be used: an error each, unless the user allows for some."""

from __future__ import annotations

from kbert.errors import DataError


class BadRows:
    """Counts the rows that are skipped.

    Args:
        allowed: How many may be skipped.
    """

    def __init__(self, allowed: int = 0) -> None:
        self.allowed = allowed
        self.problems: list[DataError] = []

    @property
    def count(self) -> int:
        """How many were skipped."""
        return len(self.problems)

    def skip(self, problem: DataError) -> None:
        """Skips a row, or raises what is wrong with it.

        Raises:
            DataError: No more rows may be skipped; with how many were.
        """
        if self.count < self.allowed:
            self.problems.append(problem)
            return
        if not self.count:
            raise problem
        raise DataError(f"{problem} (after {self.count} bad rows that were skipped)") from None

    @property
    def summary(self) -> str:
        """How many were skipped, and what was wrong with the first; "" for none."""
        if not self.count:
            return ""
        rows = "1 bad row was" if self.count == 1 else f"{self.count:,} bad rows were"
        return f"{rows} skipped; the first: {self.problems[0]}"
