"""The settings of the training loop."""

from __future__ import annotations

import dataclasses
from typing import Any

from kbert.errors import UsageError
from kbert.options import check_option
from kbert.training.devices.strategy import Distribution
from kbert.training.options import PretrainOptions, TrainingOptions


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """The settings of the loop. `log_every` and `checkpoint_every` do not affect the trained weights.

    Args:
        steps: The number of steps of the run.
        accumulation: The number of micro-batches in a step, which each replica computes one after the other.
        log_every: The number of steps over which a row of metrics averages.
        checkpoint_every: The number of steps between checkpoints.
        on_spike: The reaction to a loss that jumps or is not finite: "stop", or "rewind" to the last checkpoint and
            skip the batches since then.
        spike_threshold: The threshold of `SpikeDetector`.
        jit: Whether to compile the step with XLA.
        advice: The advice in the error about a loss that jumps or is not finite.

    Raises:
        UsageError: A value is invalid.
    """

    steps: int
    accumulation: int = 1
    log_every: int = 10
    checkpoint_every: int = 500
    on_spike: str = "stop"
    spike_threshold: float | None = None
    jit: bool = False
    advice: str = "lower the learning rate or lengthen the warm-up"

    def __post_init__(self) -> None:
        for name in ("steps", "accumulation", "log_every", "checkpoint_every", "on_spike", "spike_threshold"):
            check_option(PretrainOptions, name, getattr(self, name))

    @classmethod
    def from_options(cls, options: TrainingOptions, *, steps: int, **settings: Any) -> LoopSettings:
        """Returns the settings that the options of a run request.

        Args:
            options: The options of the run.
            steps: The number of steps of the run.
            settings: The values of further fields.
        """
        return cls(steps, options.accumulation, options.log_every, options.checkpoint_every, **settings)


def check_batch_size(batch_size: int, settings: LoopSettings, placement: Distribution) -> None:
    """Checks that a batch can be divided among replicas and micro-batches.

    Args:
        batch_size: The number of examples in a batch.
        settings: The settings of the loop.
        placement: The devices of the run.

    Raises:
        UsageError: The batch size is not a multiple of the replicas times the micro-batches.
    """
    replicas = placement.strategy.num_replicas_in_sync
    if batch_size % (replicas * settings.accumulation):
        raise UsageError(
            "batch_size must be a multiple of the replicas times the micro-batches. Received: "
            f"batch_size={batch_size}, {replicas} x {settings.accumulation}"
        )
