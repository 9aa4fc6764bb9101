"""The options of an audit of membership."""

from __future__ import annotations

import dataclasses
from typing import Any

from kbert import files
from kbert.options import Options, with_documented_fields
from kbert.training.options.sections import data_option, model_option, training_option


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditOptions(Options):
    """The options of `kbert.audit`, except the columns and the options of the task that describe the files.

    Example:
        >>> kbert.AuditOptions(members="train.csv", non_members="test.csv").rows
        10000
    """

    members: Any = data_option(
        help="Labelled rows that the model was trained on.",
        details="In Python this can also be a table in memory: a pandas or polars data frame, or a list of "
        "dictionaries.",
        path="file",
    )
    non_members: Any = data_option(
        help="Labelled rows of the same kind that the model was not trained on.",
        details="If they differ from the members in another way, such as their date or their source, the audit shows "
        "this difference.",
        path="file",
    )
    rows: int = data_option(10_000, "The maximum number of rows of each kind.", minimum=10)
    skip_bad: int = data_option(0, "Skip and count up to N bad rows in each file.", minimum=0, metavar="N")
    reference: files.PathLike | None = model_option(
        None,
        "A model of the same task that was trained on neither file; its loss is subtracted, so that rows that are "
        "easy for any model do not look like members.",
        path="model",
    )
    seed: int = training_option(0, "Seeds the choice of rows, and the bootstrap.", minimum=0)
    batch_size: int = training_option(64, "The number of rows that are processed together.", minimum=1)
