"""The options of evaluating pretraining."""

from __future__ import annotations

import dataclasses

from kbert.options import Options, option, with_documented_fields
from kbert.runtime.prepare import PRECISIONS


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatePretrainingOptions(Options):
    """The options of `kbert.evaluate_pretraining`.

    Example:
        >>> kbert.EvaluatePretrainingOptions(batch_size=8).precision
        'float32'
    """

    batch_size: int = option(
        64,
        "The number of examples that are processed together.",
        details="It changes only the rounding of the results.",
        minimum=1,
    )
    precision: str = option(
        "float32", "The floating-point type of matrix products in an evaluation on a corpus.", choices=PRECISIONS
    )
