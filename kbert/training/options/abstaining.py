"""The options of abstaining from unsure answers."""

from __future__ import annotations

import dataclasses

from kbert.options import Options
from kbert.training.options.sections import class_error, training_option


@dataclasses.dataclass(frozen=True, kw_only=True)
class AbstentionOptions(Options):
    """The options of abstaining from unsure answers, for classification and multiple choice."""

    abstain_below: float | None = training_option(
        None,
        "The least probability of an answer that is given; the model abstains below it, also when it is served.",
        default_help="the model always answers",
        minimum=0,
        maximum=1,
        free=True,
    )
    target_risk: float | None = training_option(
        None,
        "The part of the given answers that may be wrong, such as 0.05: the model abstains below the least probability "
        "for which this holds on the validation examples.",
        minimum=0,
        below=1,
        free=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.abstain_below is not None and self.target_risk is not None:
            raise class_error(
                self,
                lambda spell: (
                    f"give one of {spell('abstain_below')} and {spell('target_risk')}, which chooses the threshold. "
                    "Received: both"
                ),
            )
