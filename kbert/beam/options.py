"""The options of commands that can run on Apache Beam."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert.options import Options, option, option_error

RUNNERS = ("DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner")
"""The runners of Apache Beam."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunnerOptions(Options):
    """The options of a command that can do its work as an Apache Beam pipeline.

    A class that adds `resume` to them has it checked: the runners of Beam repeat failed work by themselves.
    """

    runner: str | None = option(
        None,
        "Do the work as an Apache Beam pipeline with this runner, on any number of machines. The result does not "
        "depend on it.",
        choices=RUNNERS,
    )
    runner_options: Sequence[str] = option(
        (), "The options of Beam, such as --parallelism=8; a command has them after --.", command=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runner is not None and getattr(self, "resume", False):
            raise option_error(
                lambda spell: (
                    f"{spell('resume')} works only without {spell('runner')}, since the runners of Beam repeat failed "
                    "work by themselves; leave one of them out"
                )
            )
