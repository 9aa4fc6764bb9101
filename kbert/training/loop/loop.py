"""The training loop. It runs under any tf.distribute strategy, with many steps per call, and resumes exactly.

`Model.fit` of Keras is not used: in Keras 3, it fails on several workers, and on several replicas if it accumulates
gradients or runs several steps per call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kbert.tasks.protocol.objective import Objective
from kbert.training.devices.strategy import Distribution
from kbert.training.loop.inputs import Phase
from kbert.training.loop.loss_scale import LossScale
from kbert.training.loop.settings import LoopSettings, check_batch_size
from kbert.training.loop.step import TrainingStep, is_seed
from kbert.training.monitoring.throughput import Throughput
from kbert.training.optimizers.registry import make_optimizer
from kbert.training.optimizers.settings import OptimizerSettings


class TrainingLoop:
    """What trains a model, and is the same in all steps; `run_loop` runs it.

    Args:
        model: The model, which is built in the scope of the strategy. It is called with a batch and `training=True`.
        objective: The objective that is minimized.
        phases: The phases of the training, in order.
        schedule: A function that returns the learning rate of a step.
        optimizer: The settings of the optimizer.
        settings: The settings of the loop.
        placement: The devices of the run.
        meter: The meter that counts the work of batches.
        loss_scaling: Whether to scale the loss, which float16 requires.
        used_tokens: The ids of all tokens that the batches can have, if they are a small part of the vocabulary.
        trained_only: Whether checkpoints contain only the variables that are trained. The others are those that the run
            starts with.
        make_step: Makes the step from a model and the arguments of `TrainingStep`.

    Raises:
        UsageError: A batch size is not a multiple of the replicas times the micro-batches.
    """

    def __init__(
        self,
        model: Any,
        *,
        objective: Objective,
        phases: Sequence[Phase],
        schedule: Callable[[int], float],
        optimizer: OptimizerSettings,
        settings: LoopSettings,
        placement: Distribution,
        meter: Throughput,
        loss_scaling: bool = False,
        used_tokens: np.ndarray | None = None,
        trained_only: bool = False,
        make_step: Callable[..., TrainingStep] = TrainingStep,
    ) -> None:
        for phase in phases:
            check_batch_size(phase.batches.batch_size, settings, placement)
        self.phases = phases
        self.schedule = schedule
        self.settings = settings
        self.placement = placement
        self.meter = meter
        with placement.strategy.scope():
            rows = {} if used_tokens is None else {model.encoder.embeddings.token_table.path: used_tokens}
            self.optimizer = make_optimizer(model.trainable_variables, optimizer, rows)
            loss_scale = LossScale(loss_scaling)
        self.step = make_step(
            model,
            objective=objective,
            optimizer=self.optimizer,
            loss_scale=loss_scale,
            accumulation=settings.accumulation,
            strategy=placement.strategy,
            jit=settings.jit,
        )
        # The seeds of dropout follow from the step, so they are not stored.
        stored = model.trainable_variables if trained_only else model.variables
        kept = {variable.path: variable.value for variable in stored if not is_seed(variable)}
        self.variables: dict[str, Any] = kept | self.optimizer.slots | loss_scale.slots
        self.steps_done = 0
        """The number of steps that were done when `run_loop` ended."""
