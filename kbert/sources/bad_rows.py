"""Counts invalid rows, which raise errors unless the user allows a number of them to be skipped, and repaired rows."""

from __future__ import annotations

import logging

from kbert.errors import DataError
from kbert.files import PathLike

_TOLD = 5
_LOG = logging.getLogger("kbert")


class BadRows:
    """Counts the rows that are skipped, and those that are repaired.

    Args:
        allowed: The maximum number of rows to skip.

    Example:
        >>> bad = BadRows(allowed=1)
        >>> bad.skip(DataError("expected a label. Received an empty one", "train.csv", 7))
        >>> bad.summary
        '1 bad row was skipped; the first: train.csv:7: expected a label. Received an empty one'
    """

    def __init__(self, allowed: int = 0) -> None:
        self.allowed = allowed
        self.count = 0
        """The number of rows skipped so far."""
        self.problems: list[DataError] = []
        """The errors of the first skipped rows."""
        self.repairs: dict[str, list[int]] = {}
        """The lines of repaired rows, by the description of the repair (see `repaired`)."""

    def skip(self, problem: DataError) -> None:
        """Skips a row, or raises its error.

        Args:
            problem: The error of the row.

        Raises:
            DataError: The maximum number of rows is already skipped. The message contains this number.
        """
        if self.count < self.allowed:
            self.count += 1
            if len(self.problems) < _TOLD:
                self.problems.append(problem)
            return
        if not self.count:
            raise problem
        rows = "1 bad row that was" if self.count == 1 else f"{self.count:,} bad rows that were"
        raise DataError(f"{problem} (after {rows} skipped)") from None

    def repaired(self, what: str, line: int = 0) -> None:
        """Counts a repair.

        Args:
            what: A description of the repair, such as "answers with a wrong answer_start were found elsewhere".
            line: The 1-based line; 0 if it is unknown.
        """
        self.repairs.setdefault(what, []).append(line)

    def tell_repairs(self, path: PathLike) -> None:
        """Logs the number of repairs of each kind with the line of the first, and resets these numbers."""
        for what, lines in self.repairs.items():
            first = f" (first: {path}:{lines[0]})" if lines[0] else ""
            _LOG.warning("%s: %s %s%s", path, f"{len(lines):,}", what, first)
        self.repairs.clear()

    @property
    def summary(self) -> str:
        """The number of skipped rows with the error of the first, as a sentence; "" if no row was skipped."""
        if not self.count:
            return ""
        rows = "1 bad row was" if self.count == 1 else f"{self.count:,} bad rows were"
        others = [f"{problem.path}:{problem.line}" for problem in self.problems[1:] if problem.line]
        more = f"; the next: {', '.join(others)}" if others else ""
        return f"{rows} skipped; the first: {self.problems[0]}{more}"
