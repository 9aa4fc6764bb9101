"""The options of reports."""

from __future__ import annotations

import dataclasses

from kbert import files
from kbert.options import Options, option, with_documented_fields


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class WriteReportOptions(Options):
    """The options of `kbert.write_report`.

    Example:
        >>> kbert.WriteReportOptions(output="report.html").output
        'report.html'
    """

    output: files.PathLike | None = option(
        None,
        "The file to write.",
        default_help="report.html; of a single run, in its folder",
        path="output-file",
    )
