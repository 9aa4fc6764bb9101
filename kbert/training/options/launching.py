"""The options of running several workers on one machine."""

from __future__ import annotations

import dataclasses

from kbert.options import Options, option, with_documented_fields


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchOptions(Options):
    """The options of `kbert.launch`.

    Example:
        >>> kbert.LaunchOptions(workers=2).max_restarts
        0
    """

    workers: int = option(help="The number of processes that train together.", minimum=1)
    max_restarts: int = option(0, "How often the workers are restarted after a worker has failed.", minimum=0)
