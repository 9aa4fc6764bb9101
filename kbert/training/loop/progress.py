"""The progress of a training run, which checkpoints store in addition to the variables."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class Progress:
    """The progress of a run. All fields can be written as JSON."""

    step: int = 0
    window: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    """The metrics of each step since the last row."""
    ends: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The first and the last row of metrics."""
    losses: list[float] = dataclasses.field(default_factory=list)
    """The recent losses, with which the detector of spikes compares a new loss."""
    skipped: list[list[int]] = dataclasses.field(default_factory=list)
    """The ranges of batches that were skipped."""
    scored: list[float] = dataclasses.field(default_factory=lambda: [0.0, 0.0])
    """The sum and the number of the losses since the last checkpoint."""
    measured: list[list[float]] = dataclasses.field(default_factory=list)
    """The metric and the validation loss of each evaluation, for early stopping."""
