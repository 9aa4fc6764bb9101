"""The plan of a fine-tuning run: all decisions that are made before the model is built."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kbert.errors import UsageError
from kbert.model_folder.hub import resolve
from kbert.options import invalid, option_error, option_infos
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.tasks.task_info import TaskInfo
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.graph.tokenizer import GraphTokenizer
from kbert.text.settings import MEDIAPIPE
from kbert.training.adapter import check_adapter_start
from kbert.training.calibration import check_calibration
from kbert.training.data.augmentation import with_augmentation
from kbert.training.data.sequence_length import LENGTHS, fitting_length
from kbert.training.data.task_examples import TaskExamples, digest
from kbert.training.data.unknown_tokens import warn_of_unknown_tokens
from kbert.training.finetuning.steps_and_rates import RunLength, describe_defaults, learning_rates, run_length
from kbert.training.learning_rate_finder import STEPS
from kbert.training.loop.early_stopping import EarlyStopping
from kbert.training.loop.settings import LoopSettings
from kbert.training.optimizers.frozen_layers import check_frozen_layers
from kbert.training.optimizers.schedules import Schedule
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.options import FinetuneOptions
from kbert.training.private.plan import PrivacyPlan, check_private_rows, check_unmixed_rows, plan_privacy
from kbert.training.quantize_aware import check_quantize_aware
from kbert.training.run import Run
from kbert.training.run_folder.runs import RunRecord
from kbert.training.starting_point import StartingPoint, starting_point

_ADVICE = "give a lower --learning-rate, or a larger --warmup-proportion"
"""The advice for a loss that is not finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningPlan:
    """The plan of a fine-tuning run.

    Args:
        options: The options of the run.
        task: The task, adapted to the training examples.
        examples: The training and validation examples of the user's files.
        training_examples: The training examples, with the copies that data augmentation added.
        start: The model or the preset that the run starts from.
        encode: The tokenizer as a TensorFlow graph.
        sequence_length: The maximum length of an input in tokens.
        rows: The training examples as tokens and targets.
        validation_rows: The validation examples as tokens and targets; None if they have no targets, or if this
            process does not evaluate the model.
        epochs: The number of passes over the rows.
        schedule: The learning-rate schedule.
        optimizer: The settings of the optimizer.
        settings: The settings of the training loop.
        evaluate_every: The number of steps between evaluations.
        early_stopping: The rule that ends the run early; None if the options request none.
        privacy: The noise of a private run, and what it guarantees; None for a run without privacy.
    """

    options: FinetuneOptions
    task: TrainableTask[Any]
    examples: TaskExamples
    training_examples: Sequence[Any]
    start: StartingPoint
    encode: GraphEncoder
    sequence_length: int
    rows: TrainingRows
    validation_rows: TrainingRows | None
    epochs: float
    schedule: Schedule
    optimizer: OptimizerSettings
    settings: LoopSettings
    evaluate_every: int
    early_stopping: EarlyStopping | None
    privacy: PrivacyPlan | None

    @property
    def used_tokens(self) -> np.ndarray | None:
        """The ids of all training tokens and of padding, in ascending order.

        None if they are most of the vocabulary, or if the loss depends on the other tokens as well.
        """
        vocabulary = self.start.tokenizer.vocabulary
        if self.task.trains_whole_vocabulary:
            return None
        used = np.union1d(self.rows.ids.values, [vocabulary.pad_id])
        return used if len(used) < len(vocabulary) / 2 else None

    def check_validation(self) -> None:
        """Checks that the main metric can be computed from the validation examples.

        Raises:
            UsageError: The main metric is the loss, and the validation examples have no targets.
        """
        if self.task.main_metric == LOSS and self.validation_rows is None:
            raise UsageError(
                f"the validation data have no targets for the loss of {self.task.name}; give a --main-metric other "
                "than loss"
            )

    def record(self, command: str, options: Mapping[str, Any]) -> RunRecord:
        """Returns the record of the run for run.json.

        Args:
            command: The command, such as "finetune classification".
            options: The options that the run remembers.
        """
        tokenizer = self.start.tokenizer
        return RunRecord(
            command,
            options,
            defaults={
                "epochs": self.epochs,
                "learning_rate": self.schedule.peak,
                "head_learning_rate": self.schedule.peak * self.optimizer.head_rate,
                "sequence_length": self.sequence_length,
                "evaluate_every": self.evaluate_every,
                "main_metric": self.task.main_metric,
                **(self.privacy.defaults() if self.privacy else {}),
            },
            contents={
                "model": self.start.digest(),
                "vocab": tokenizer.vocabulary.sha256(),
                # A digest would tell whether a row is among the training data, to one who knows all others.
                **({} if self.privacy else {"data": digest(self.training_examples, self.examples.validation)}),
            },
            derived={
                "steps": self.settings.steps,
                "tokenizer": json.loads(json.dumps(dataclasses.asdict(tokenizer.settings))),
                "config": self.start.config.to_dict(),
                "task": self.task.settings(),
                "optimizer": dataclasses.asdict(self.optimizer),
                "schedule": dataclasses.asdict(self.schedule),
                **({"privacy": self.privacy.derived()} if self.privacy else {}),
            },
        )


MoreRows = Callable[[TrainableTask[Any], TrainingRows, GraphEncoder], TrainingRows]
"""A function that adds rows to those of the training examples, given the task and the tokenizer as a graph."""


def plan_finetuning(
    run: Run,
    options: FinetuneOptions,
    info: TaskInfo,
    examples: TaskExamples,
    *,
    more_rows: MoreRows | None = None,
) -> FinetuningPlan:
    """Returns the plan of a run, with defaults for the options that were not given.

    Args:
        run: The run.
        options: The options of the run.
        info: The description of the task.
        examples: The training and validation examples of the user's files.
        more_rows: Adds rows to those of the training examples; None adds none.

    Raises:
        UsageError: An option is invalid for the model or the examples.
        KbertError: The model is invalid.
    """
    check_calibration(options, examples.task, calibrate=options.calibrate)
    training = _augmented(run, options, examples.train)
    start = _starting_point(options, examples.task)
    task = _adapted_task(options, examples, start)
    tokenizer = start.tokenizer.to_graph()
    sequence_length = _sequence_length(run, options, info, start, task, training, tokenizer)
    check_frozen_layers(options.frozen_layers, start.config.num_hidden_layers, frozen_encoder=options.frozen_encoder)
    encode = GraphEncoder(tokenizer, sequence_length)
    training = task.keep_fitting(training, encode, *examples.skipped[0])
    if run.is_chief:
        examples.tell_skipped()
        examples.tell_shared()
    task = task.for_training_examples(training, encode)
    rows = task.training_rows(training, encode)
    if more_rows is not None:
        rows = more_rows(task, rows, encode)
    if options.private is not None:
        check_private_rows(task.name, task.not_separable or task.not_private, len(training), len(rows))
    length, rates = run_length(options, task, len(rows)), learning_rates(options, start)
    privacy = _privacy(run, options, length)
    run.tell(*rows.notes)
    if run.is_chief:
        warn_of_unknown_tokens(task, training, rows, start.tokenizer, pretrained=start.bundle is not None)
    if not options.find_learning_rate:
        run.tell(*describe_defaults(options, start, length, rates))
    steps = STEPS if options.find_learning_rate else length.steps
    settings = LoopSettings.from_options(options, steps=steps, advice=_ADVICE)
    run.check_batch_size(settings)
    _check_whole_batches(run, options, task)
    warmup_steps = round(steps * options.warmup_proportion)
    measures = run.is_chief and not options.find_learning_rate
    return FinetuningPlan(
        options=options,
        task=task,
        examples=examples,
        training_examples=training,
        start=start,
        encode=encode,
        sequence_length=sequence_length,
        rows=rows,
        validation_rows=task.validation_rows(examples.validation, encode) if measures else None,
        epochs=length.epochs,
        schedule=Schedule.from_options(options, peak=rates.encoder, steps=steps, warmup_steps=warmup_steps),
        optimizer=OptimizerSettings.from_options(
            options, bias_correction=options.bias_correction, head_rate=rates.head / rates.encoder
        ),
        settings=settings,
        evaluate_every=options.evaluate_every or length.epoch_steps,
        early_stopping=_early_stopping(options, task),
        privacy=privacy,
    )


def _augmented(run: Run, options: FinetuneOptions, examples: Sequence[Any]) -> Sequence[Any]:
    """Returns the training examples and the copies of them that the options request."""
    augmented = with_augmentation(examples, options)
    if len(augmented) > len(examples):
        run.tell(f"{len(augmented) - len(examples):,} changed copies of training texts added")
    return augmented


def _starting_point(options: FinetuneOptions, task: TrainableTask[Any]) -> StartingPoint:
    """Returns the model or the preset that the run starts from, with the settings of the options."""
    start = starting_point(options.model, options.vocab, options.cased).with_settings(options)
    if options.tokenizer == MEDIAPIPE:
        start = start.with_mediapipe_tokenizer()
    if options.adapter is not None:
        check_adapter_start(start.model, start.bundle)
    check_quantize_aware(options.quantize_aware, task, start.config)
    return start


def _adapted_task(options: FinetuneOptions, examples: TaskExamples, start: StartingPoint) -> TrainableTask[Any]:
    """Returns the task with the main metric of the options, and as the starting model and privacy require."""
    task = examples.task
    if options.main_metric is not None:
        task = task.with_main_metric(options.main_metric)
    if start.bundle is not None:
        task = task.for_starting_model(resolve(options.model))
    if options.private is not None:
        check_unmixed_rows(task.mixed_rows(examples.train))
        task = task.for_private_training(examples.validation)
    return task


def _privacy(run: Run, options: FinetuneOptions, length: RunLength) -> PrivacyPlan | None:
    """Returns the noise of a private run, and logs what it guarantees; None for a run without privacy."""
    if options.private is None:
        return None
    privacy = plan_privacy(options, rows=length.rows, draw_size=length.batch_size, steps=length.steps)
    run.tell(*privacy.describe())
    return privacy


def _early_stopping(options: FinetuneOptions, task: TrainableTask[Any]) -> EarlyStopping | None:
    if options.early_stopping is None:
        return None
    return EarlyStopping(options.early_stopping, f"validation_{task.main_metric}", task.larger_is_better)


def _sequence_length(
    run: Run,
    options: FinetuneOptions,
    info: TaskInfo,
    start: StartingPoint,
    task: TrainableTask[Any],
    training: Sequence[Any],
    tokenizer: GraphTokenizer,
) -> int:
    """Returns the sequence length, and logs a default that depends on the training texts."""
    positions = start.config.max_position_embeddings
    if options.sequence_length is not None:
        if options.sequence_length > positions:
            length = option_infos(FinetuneOptions)["sequence_length"]
            raise invalid(length, f"must be from 5 to the model's {positions} positions", options.sequence_length)
        return options.sequence_length
    if task.longest_input is not None or task.windowed:
        return min(task.longest_input or info.sequence_length, positions)
    found = fitting_length(task, training, tokenizer, positions)
    if found.length > LENGTHS[0] or found.too_long:
        run.tell(
            f"sequence length {found.length} (by default, for the lengths of the training texts); "
            f"{found.too_long:.1%} of them are longer and lose their end; --sequence-length changes it"
        )
    return found.length


def _check_whole_batches(run: Run, options: FinetuneOptions, task: TrainableTask[Any]) -> None:
    """Checks that batches are not split if the loss of the task compares all texts of a batch.

    Raises:
        OptionError: Batches are split into micro-batches or among replicas.
    """
    replicas = run.placement.strategy.num_replicas_in_sync
    if task.needs_whole_batch and options.accumulation * replicas > 1:
        raise option_error(
            lambda spell: (
                f"this training of {task.name} compares all texts of a batch, which must be on one device: give "
                f"{spell('accumulation', 1)} and {spell('strategy', 'one')}. "
                f"Received: {spell('accumulation', options.accumulation)}, {replicas} replicas"
            )
        )
