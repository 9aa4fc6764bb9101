"""The errors of this program."""

from __future__ import annotations

import kbert


class MonitorError(kbert.KbertError):
    """A problem that ends the command, as one line: what was expected, what was received, the way out."""


class UsageError(MonitorError):
    """A combination of options that is not possible."""

    exit_code = 2
