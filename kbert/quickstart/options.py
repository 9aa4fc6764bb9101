"""The options of the quickstart."""

from __future__ import annotations

import dataclasses

from kbert import files
from kbert.options import Options, option, with_documented_fields


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class QuickstartOptions(Options):
    """The options of `kbert.quickstart.quickstart`.

    Example:
        >>> from kbert.quickstart import QuickstartOptions
        >>> QuickstartOptions().output
        'kbert-quickstart'
    """

    output: files.PathLike = option(
        "kbert-quickstart", "The folder for all files, which must be new or empty.", path="output-folder"
    )
    weights: str | files.PathLike | None = option(
        None,
        "A model with pretrained weights to start from, instead of pretraining a tiny one: a model folder or "
        "hf://owner/name.",
    )
    results: files.PathLike | None = option(None, "Also write the results as JSON to this file.", path="output-file")
