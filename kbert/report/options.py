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
        default_help="report.html in the folder of a single run, and in the current folder for several",
        path="output-file",
    )
    explain: files.PathLike | None = option(
        None,
        "A labelled file, such as the validation file. The model of each run is loaded and explains its answers: the "
        "worst examples with coloured words, the words that push each label most over texts of the file, and a map of "
        "the attention heads.",
        details="The page then holds texts of the file. A run must be finished, and its task must be one that "
        "`kbert explain` knows.",
        path="file",
    )
    rows: int = option(
        100, "The number of texts, drawn at random from the file of `explain`, that are explained.", minimum=1
    )
