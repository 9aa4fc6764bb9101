"""Rows that cannot be used: an error each, unless the user allows for some. Rows that were repaired are counted."""

from __future__ import annotations

import logging

from kbert.errors import DataError
from kbert.files import PathLike

_TOLD = 5
_LOG = logging.getLogger("kbert")


class BadRows:
    """Counts the rows that are skipped, and those that are repaired.

    Args:
        allowed: How many may be skipped.

    Example:
        >>> bad = BadRows(allowed=1)
        >>> bad.skip(DataError("expected a label. Received an empty one", "train.csv", 7))
        >>> bad.summary
        '1 bad row was skipped; the first: train.csv:7: expected a label. Received an empty one'
    """

    def __init__(self, allowed: int = 0) -> None:
        self.allowed = allowed
        self.count = 0
        """How many were skipped."""
        self.problems: list[DataError] = []
        """What was wrong with the first of them."""
        self.repairs: dict[str, list[int]] = {}
        """The lines of what was repaired, by what was done; see `repaired`."""

    def skip(self, problem: DataError) -> None:
        """Skips a row, or raises what is wrong with it.

        Raises:
            DataError: No more rows may be skipped; the message says how many were.
        """
        if self.count < self.allowed:
            self.count += 1
            if len(self.problems) < _TOLD:
                self.problems.append(problem)
            return
        if not self.count:
            raise problem
        raise DataError(f"{problem} (after {self.count} bad rows that were skipped)") from None

    def repaired(self, what: str, line: int = 0) -> None:
        """Counts a repair.

        Args:
            what: What was wrong and what was done, such as "answers with a wrong answer_start were found elsewhere".
            line: The 1-based line; 0 where it is unknown.
        """
        self.repairs.setdefault(what, []).append(line)

    def tell_repairs(self, path: PathLike) -> None:
        """Logs how many repairs of each kind there were, with the line of the first; then forgets them."""
        for what, lines in self.repairs.items():
            first = f" (first: {path}:{lines[0]})" if lines[0] else ""
            _LOG.warning("%s: %s %s%s", path, f"{len(lines):,}", what, first)
        self.repairs.clear()

    @property
    def summary(self) -> str:
        """How many were skipped, and what was wrong with the first; "" for none."""
        if not self.count:
            return ""
        rows = "1 bad row was" if self.count == 1 else f"{self.count:,} bad rows were"
        others = [f"{problem.path}:{problem.line}" for problem in self.problems[1:] if problem.line]
        more = f"; the next: {', '.join(others)}" if others else ""
        return f"{rows} skipped; the first: {self.problems[0]}{more}"
