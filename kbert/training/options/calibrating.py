"""The options of calibrating a fine-tuned model."""

from __future__ import annotations

import dataclasses
from typing import Any

from kbert import files
from kbert.options import with_documented_fields
from kbert.training.options.abstaining import AbstentionOptions
from kbert.training.options.sections import data_option, run_option, training_option


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrateOptions(AbstentionOptions):
    """The options of `kbert.calibrate`, except the columns and the options of the task that describe the file.

    Example:
        >>> kbert.CalibrateOptions(validation="dev.csv", target_risk=0.05).batch_size
        64
    """

    validation: Any = data_option(
        help="The labelled examples that the temperature is fitted on. The model must not be trained on them.",
        details="In Python this can also be a table in memory: a pandas or polars data frame, or a list of "
        "dictionaries.",
        path="file",
    )
    skip_bad: int = data_option(0, "Skip and count up to N bad rows.", minimum=0, metavar="N")
    batch_size: int = training_option(64, "The number of examples that are processed together.", minimum=1)
    output: files.PathLike | None = run_option(
        None,
        "The folder for the calibrated model.",
        default_help="the folder of the model, whose weights are then replaced",
        path="output-folder",
    )
