"""The number of steps and the learning rates of a fine-tuning run: those of the options, or defaults."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from kbert.model_folder.adapters.spec import AdapterSpec
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.training.defaults import (
    default_adapter_learning_rate,
    default_epochs,
    default_head_learning_rate,
    default_learning_rate,
)
from kbert.training.options import FinetuneOptions
from kbert.training.private.defaults import EPOCHS, default_draw_size, default_private_learning_rate
from kbert.training.starting_point import StartingPoint


class RunLength(NamedTuple):
    """The length of a run.

    Args:
        rows: The number of training rows.
        batch_size: The number of rows in a step; for a private run, the mean number of rows that a step draws.
        epochs: The number of passes over the rows.
    """

    rows: int
    batch_size: int
    epochs: float

    @property
    def steps(self) -> int:
        """The number of steps."""
        return max(1, math.ceil(self.epochs * self.rows / self.batch_size))

    @property
    def epoch_steps(self) -> int:
        """The number of steps of an epoch."""
        return max(1, math.ceil(self.rows / self.batch_size))


class LearningRates(NamedTuple):
    """The peak learning rates of a run.

    Args:
        encoder: That of the encoder or its adapter.
        head: That of the pooler and the head of the task.
    """

    encoder: float
    head: float


def run_length(options: FinetuneOptions, task: TrainableTask[Any], rows: int) -> RunLength:
    """Returns the length of a run.

    Args:
        options: The options of the run.
        task: The task, adapted to the training examples.
        rows: The number of training rows.
    """
    if options.private is not None:
        return RunLength(rows, options.draw_size or default_draw_size(rows), options.epochs or EPOCHS)
    batch_size, epochs = options.batch_size, options.epochs
    if epochs is None:
        epochs = default_epochs(rows, batch_size, len(task.head_row_names or ()))
    return RunLength(rows, batch_size, epochs)


def learning_rates(options: FinetuneOptions, start: StartingPoint) -> LearningRates:
    """Returns the peak learning rates of a run.

    Args:
        options: The options of the run.
        start: The model or the preset that the run starts from.
    """
    pretrained = start.bundle is not None
    peak = options.learning_rate
    if peak is None:
        peak = default_learning_rate(start.config.hidden_size, start.config.num_hidden_layers, pretrained=pretrained)
        if options.private is not None and options.adapter is None:
            peak = default_private_learning_rate(peak)
    head = options.head_learning_rate
    if head is None:
        head = default_head_learning_rate(peak, pretrained=pretrained)
    if options.adapter is not None and options.learning_rate is None:
        peak = default_adapter_learning_rate(peak, AdapterSpec.parse(options.adapter).kind)
    return LearningRates(peak, head)


def describe_defaults(
    options: FinetuneOptions, start: StartingPoint, length: RunLength, rates: LearningRates
) -> list[str]:
    """Returns a message about the learning rate and the epochs if they are defaults, and no message otherwise.

    Args:
        options: The options of the run.
        start: The model or the preset that the run starts from.
        length: What `run_length` returned.
        rates: What `learning_rates` returned.
    """
    defaults = []
    if options.learning_rate is None:
        kind, config = "random" if start.bundle is None else "pretrained", start.config
        layers = config.num_hidden_layers
        defaults.append(
            f"--learning-rate, for {kind} weights of width {config.hidden_size} and {layers} "
            + ("layer" if layers == 1 else "layers")
            + (" with an adapter" if options.adapter is not None else "")
            + (" and noise" if options.private is not None else "")
        )
    if options.epochs is None:
        defaults.append("--epochs, for this number of rows")
    if not defaults:
        return []
    epochs = "1 epoch" if length.epochs == 1 else f"{length.epochs:g} epochs"
    steps = "1 step" if length.steps == 1 else f"{length.steps:,} steps"
    return [
        f"learning rate {rates.encoder:g} (head {rates.head:g}), {epochs} of {length.rows:,} rows, {steps} "
        f"(by default: {'; '.join(defaults)})"
    ]
