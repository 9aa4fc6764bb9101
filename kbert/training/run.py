"""The parts of a training run that pretraining and fine-tuning share: its folder, its devices and its loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert.config import BertConfig
from kbert.model_folder.adapters.spec import AdapterSpec
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import TensorBindings
from kbert.options import OptionInfo, option_infos
from kbert.tasks.protocol.objective import Objective
from kbert.text.vocabulary import Vocabulary
from kbert.training.adapter import TrainedAdapter
from kbert.training.devices.jit import skips_padding
from kbert.training.devices.precision import prepare_precision
from kbert.training.devices.strategy import make_strategy
from kbert.training.loop.callbacks import check_callbacks, start_callbacks
from kbert.training.loop.early_stopping import EarlyStopping
from kbert.training.loop.inputs import Phase
from kbert.training.loop.loop import TrainingLoop
from kbert.training.loop.loop_run import run_loop
from kbert.training.loop.settings import LoopSettings, check_batch_size
from kbert.training.loop.step import TrainingStep
from kbert.training.monitoring.monitor import TENSORBOARD_FOLDER, Monitor, SilentMonitor
from kbert.training.monitoring.observers import Observer, ObserverSettings, make_observers
from kbert.training.monitoring.peak import matrix_peak
from kbert.training.monitoring.projector import write_projector
from kbert.training.monitoring.throughput import Throughput
from kbert.training.optimizers.schedules import Schedule
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.options import TrainingOptions
from kbert.training.run_folder.checkpoints import Checkpoints
from kbert.training.run_folder.environment import write_environment
from kbert.training.run_folder.runs import CHECKPOINT_FOLDER, RunRecord, open_run
from kbert.training.starting_point import StartingPoint

_LOG = logging.getLogger("kbert")


class Run:
    """A training run on the devices that its options select.

    The constructor joins the workers of several machines, so TensorFlow must not have computed anything before.

    Args:
        command: The command, such as "finetune classification".
        options: The options of the run.
        infos: The descriptions of the options in the run's record; by default those of the class of `options`.

    Raises:
        UsageError: A callback is not a Keras callback, or a device is missing.
        TrainingError: This machine does not support the precision, or the workers do not find each other.
    """

    def __init__(self, command: str, options: TrainingOptions, infos: Mapping[str, OptionInfo] | None = None) -> None:
        self.command = command
        self.options = options
        self._infos = option_infos(type(options)) if infos is None else infos
        self.folder = Path(options.output)
        prepare_precision(options.precision)
        check_callbacks(options.callbacks)
        self.placement = make_strategy(options.strategy, options.cluster)

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief, the only worker that writes files."""
        return self.placement.is_chief

    @property
    def checkpoint_folder(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / CHECKPOINT_FOLDER

    def tell(self, *messages: str) -> None:
        """Logs messages on the chief."""
        if self.is_chief:
            for message in messages:
                _LOG.info(message)

    def claim(self, record: RunRecord, *, longer: bool = False) -> None:
        """Claims the folder for this run on the chief, or checks that the folder belongs to the same run.

        Args:
            record: The command, the options and the digests that the run starts with.
            longer: Whether a run that is continued may have more steps than before.

        Raises:
            UsageError: The folder holds a different run, or other files.
        """
        if self.is_chief:
            open_run(self.folder, record, infos=self._infos, resume=self.options.resume, longer=longer)

    def check_batch_size(self, settings: LoopSettings) -> None:
        """Checks that a batch can be divided among replicas and micro-batches.

        Args:
            settings: The settings of the training loop.

        Raises:
            UsageError: The batch size is not a multiple of the replicas times the micro-batches.
        """
        check_batch_size(self.options.batch_size, settings, self.placement)

    def build(
        self,
        config: BertConfig,
        make_model: Callable[[BertEncoder], Any],
        *,
        jit: bool = False,
        packed: bool = False,
        pooled: bool = True,
        pooled_only: bool = False,
    ) -> Any:
        """Builds an encoder and a model around it in the scope of the strategy, and returns the model.

        Args:
            config: The configuration of the encoder.
            make_model: A function that takes the encoder and returns the model around it.
            jit: Whether the training step is compiled with XLA.
            packed: Whether a row holds several examples.
            pooled: Whether the encoder has a pooler.
            pooled_only: Whether the model reads only the pooled output.
        """
        self._pooled_only = pooled_only
        self._skip_padding = not packed and skips_padding(self.placement, jit=jit)
        with self.placement.strategy.scope():
            encoder = BertEncoder(
                config,
                packed=packed,
                pooled=pooled,
                pooled_only=pooled_only,
                precision=self.options.precision,
                seed=self.options.seed,
                remat=self.options.remat,
                skip_padding=self._skip_padding,
            )
            return make_model(encoder)

    def add_adapter(self, model: Any, bindings: TensorBindings, start: StartingPoint) -> TrainedAdapter | None:
        """Adds the adapter that the options request to a model with its starting weights, and freezes the base model.

        Args:
            model: A model that `build` returned.
            bindings: The variables of the model by the names of their tensors.
            start: The base model.

        Returns:
            The adapter; None if the options request none.
        """
        if self.options.adapter is None:
            return None
        with self.placement.strategy.scope():
            adapter = TrainedAdapter(AdapterSpec.parse(self.options.adapter), model, bindings, start)
        self.tell(adapter.describe())
        return adapter

    def make_loop(
        self,
        model: Any,
        config: BertConfig,
        *,
        objective: Objective,
        phases: Sequence[Phase],
        schedule: Schedule,
        optimizer: OptimizerSettings,
        settings: LoopSettings,
        used_tokens: np.ndarray | None = None,
        trained_only: bool = False,
        make_step: Callable[..., TrainingStep] = TrainingStep,
        meter: Throughput | None = None,
    ) -> TrainingLoop:
        """Returns the training loop of a model.

        Args:
            model: A model that `build` returned.
            config: The configuration of its encoder.
            objective: The objective that is minimized.
            phases: The batches to train on, in order.
            schedule: The learning-rate schedule.
            optimizer: The settings of the optimizer.
            settings: The settings of the loop.
            used_tokens: The ids of all tokens of the batches, if they are a small part of the vocabulary.
            trained_only: Whether checkpoints contain only the variables that are trained.
            make_step: Makes the training step.
            meter: The meter that counts the work of batches; by default all of their work.
        """
        self._peak = matrix_peak(self.options.precision, self.placement)
        if meter is None:
            meter = Throughput(config, self._peak, skip_padding=self._skip_padding, pooled_only=self._pooled_only)
        return TrainingLoop(
            model,
            objective=objective,
            phases=phases,
            schedule=schedule,
            optimizer=optimizer,
            settings=settings,
            placement=self.placement,
            meter=meter,
            loss_scaling=self.options.precision == "float16",
            used_tokens=used_tokens,
            trained_only=trained_only,
            make_step=make_step,
        )

    def train(
        self,
        loop: TrainingLoop,
        model: Any,
        *,
        evaluate: Callable[[int], Mapping[str, float]] | None = None,
        evaluate_every: int = 0,
        early_stopping: EarlyStopping | None = None,
        observers: Sequence[Observer] = (),
        constants: Mapping[str, float] | None = None,
        keep_checkpoints: int = 2,
    ) -> dict[str, Any]:
        """Runs the loop, with the monitor, the checkpoints, the observers and the callbacks of the run.

        Args:
            loop: The loop that `make_loop` returned.
            model: The model of the loop.
            evaluate: A function that takes the number of steps done and returns the metrics of the model.
            evaluate_every: The number of steps between evaluations; 0 if `evaluate` is None.
            early_stopping: The rule that ends the run early; None for no such rule.
            observers: Observers in addition to those that the options request.
            constants: Metrics that are the same in each row.
            keep_checkpoints: The number of latest checkpoints to keep.

        Returns:
            The first and the last row of metrics, as "first" and "last".

        Raises:
            TrainingError: Training fails.
        """
        options = self.options
        monitor: Monitor = SilentMonitor()
        if self.is_chief:
            write_environment(self.folder, self.placement, self._peak)
            title = self.command.split()[0]
            steps, show = loop.settings.steps, options.show_progress
            monitor = Monitor(self.folder, steps=steps, title=title, show_progress=show, constants=constants)
        asked = make_observers(ObserverSettings.from_options(options), model, self.folder / TENSORBOARD_FOLDER)
        epoch_steps = evaluate_every or options.checkpoint_every
        return run_loop(
            loop,
            monitor,
            Checkpoints(self.checkpoint_folder, keep_checkpoints),
            resume=options.resume,
            evaluate=evaluate,
            evaluate_every=evaluate_every,
            early_stopping=early_stopping,
            observers=[*asked, *observers],
            callbacks=start_callbacks(options.callbacks, model, loop, epoch_steps),
        )

    def write_projector(self, encoder: BertEncoder, vocabulary: Vocabulary) -> None:
        """Writes the token embeddings for TensorBoard's projector, if the options request it."""
        if self.options.projector:
            table = encoder.embeddings.token_table.numpy()
            write_projector(self.folder / TENSORBOARD_FOLDER, table, vocabulary)
