"""Fine-tuning, which is the same for every task: it reads a model and a user's files, and writes a model folder."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kbert import files
from kbert.errors import UsageError
from kbert.model_folder.adapters.folder import ADAPTER_FOLDER
from kbert.model_folder.bundle import QUANTIZE_AWARE, Bundle
from kbert.models import tensor_names
from kbert.options import check_value, refuse_unknown, with_options
from kbert.prediction.predictor import Predictor
from kbert.tasks.catalogue import task_info
from kbert.tasks.factories import trainable_task_class
from kbert.tasks.metric_interval import interval_of
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.metrics.worst_examples import WORST_EXAMPLES
from kbert.tasks.protocol.objective import Objective
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.readers.remembered import Reading
from kbert.tasks.task_info import TaskInfo
from kbert.training.adapter import TrainedAdapter
from kbert.training.calibration import Calibration, calibrated
from kbert.training.data.batches import LengthBucketedBatches
from kbert.training.data.task_examples import read_task_examples
from kbert.training.finetuning_plan import FinetuningPlan, plan_finetuning
from kbert.training.learning_rate_finder import as_json, run_range_test
from kbert.training.loop.inputs import Phase
from kbert.training.loop.loop import TrainingLoop
from kbert.training.loop.validation_loss import ValidationLoss
from kbert.training.monitoring.monitor import TENSORBOARD_FOLDER
from kbert.training.monitoring.throughput import TimeOnly
from kbert.training.new_weights import assign_starting_weights, tell_new_weights
from kbert.training.optimizers.frozen_layers import freeze_layers, freeze_tables
from kbert.training.options import FinetuneOptions, keyword_infos
from kbert.training.private.batches import PoissonBatches
from kbert.training.private.plan import check_class_weights, check_one_device
from kbert.training.private.resuming import ForgetLaterWeights, remove_tensorboard_files
from kbert.training.private.step import PrivateStep
from kbert.training.quantize_aware import enable_fake_quantization, store_rounded_weights
from kbert.training.run import Run
from kbert.training.run_folder.best_weights import BEST_FILE, BestWeights
from kbert.training.run_folder.provenance import license_settings, write_run_provenance
from kbert.training.run_folder.runs import LEARNING_RATES_FILE, WORST_EXAMPLES_FILE
from kbert.training.run_folder.task_card import task_card
from kbert.training.trivial_results import BASELINE, baseline_of, warn_of_trivial_result

_LOG = logging.getLogger("kbert")


@with_options(FinetuneOptions)
def finetune(task: str, *, options: FinetuneOptions, **task_options: Any) -> dict[str, Any]:
    """Fine-tunes a model for a task, and keeps the weights that are best on the validation file.

    Args:
        task: The name of a task, such as "classification".
        options: All options in one object. Keywords that are given as well replace its values.
        task_options: The column names of tables, such as `text_column`, and the task's own options
            (kbert.tasks.catalogue). In a file without a header, a column is a number, counted from 1.

    Returns:
        The metrics of the best weights on the validation file. Workers other than the chief return an empty
        dictionary. With `find_learning_rate`, the fields of kbert.training.learning_rate_finder.LearningRateCurve.

    Raises:
        UsageError: An option is invalid, or `output` already holds a different run.
        DataError: A file is invalid; the message names the file and the line.
        KbertError: The model is invalid, or training fails.

    Example:
        >>> metrics = kbert.finetune(
        ...     "classification", model="pretrained", train="train.csv", validation="dev.csv", output="run",
        ...     epochs=1, show_progress=False,
        ... )
        >>> sorted(metrics)[:2]
        ['accuracy', 'calibration_error']
    """
    info = _trainable_task(task, task_options)
    infos = keyword_infos(info)
    check_value(infos["main_metric"], options.main_metric)
    columns, own = info.split(task_options)
    if options.private is not None:
        check_class_weights(own)
    examples = read_task_examples(
        task,
        options.train,
        validation=options.validation,
        validation_split=options.validation_split,
        fold=options.fold,
        columns=columns,
        options=own,
        limit=options.limit,
        skip_bad=options.skip_bad,
        seed=options.seed,
    )
    run = Run(f"finetune {task}", options, infos)  # workers must join before TensorFlow tokenizes texts
    plan = plan_finetuning(run, options, info, examples)
    measures = run.is_chief and not options.find_learning_rate
    if measures:
        plan.check_validation()
        run.claim(plan.record(run.command, options.remembered() | _named(columns) | own.remembered()))
    model = run.build(plan.start.config, plan.task.build, pooled=plan.task.pooled)
    encoder, bindings = model.encoder, plan.task.bindings(model)
    if plan.start.bundle is not None:
        parts = assign_starting_weights(plan.task, bindings, plan.start.bundle)
        if run.is_chief:
            tell_new_weights(parts)
    adapter = run.add_adapter(model, bindings, plan.start)
    freeze_layers(encoder, options.frozen_layers, frozen_encoder=options.frozen_encoder)
    if plan.privacy is not None:
        freeze_tables(encoder)
    reading = Reading.remembered(info, examples.columns, own)
    return train_and_finish(run, options, plan, model, bindings, reading, adapter=adapter)


def train_and_finish(
    run: Run,
    options: FinetuneOptions,
    plan: FinetuningPlan,
    model: Any,
    bindings: Any,
    reading: Reading,
    *,
    adapter: TrainedAdapter | None = None,
    trained: Any = None,
    objective: Objective | None = None,
) -> dict[str, Any]:
    """Trains a model that has its starting weights, and writes the model folder with the best weights.

    Args:
        run: The run.
        options: The options of the run.
        plan: The plan of the run.
        model: The model that the task built.
        bindings: The variables of the model, under the tensor names of Transformers.
        reading: How the training file was read.
        adapter: The adapter that is trained instead of the whole model.
        trained: The model that is called in training, which has the variables of `model`; by default `model` itself.
        objective: What is minimized; by default the losses of the task.

    Returns:
        See `finetune`.
    """
    trained = model if trained is None else trained
    if options.quantize_aware is not None:
        enable_fake_quantization(model, options.quantize_aware)
    batches = _batches(options, plan)
    loop = run.make_loop(
        trained,
        plan.start.config,
        objective=plan.task if objective is None else objective,
        phases=[Phase(plan.settings.steps, batches)],
        schedule=plan.schedule,
        optimizer=plan.optimizer,
        settings=plan.settings,
        used_tokens=_used_tokens(plan),
        trained_only=adapter is not None,
        **_private_training(run, plan),
    )
    if options.find_learning_rate:
        assert isinstance(batches, LengthBucketedBatches)  # private runs do not have this option
        return _learning_rates(run, loop, batches, plan.schedule.peak)

    best = BestWeights(
        run.checkpoint_folder / BEST_FILE,
        plan.task.main_metric,
        larger_is_better=plan.task.larger_is_better,
        resume=options.resume,
    )
    observers = []
    if plan.privacy is not None and options.resume:
        remove_tensorboard_files(run.folder / TENSORBOARD_FOLDER)
        observers.append(ForgetLaterWeights(best))
    run.train(
        loop,
        model,
        evaluate=_evaluation(options, plan, model, bindings, best, adapter),
        evaluate_every=plan.evaluate_every,
        early_stopping=plan.early_stopping,
        observers=observers,
    )
    if not run.is_chief:
        return {}
    return _finish(run, options, plan, model, bindings, best, loop.steps_done, reading, adapter)


def _trainable_task(task: str, task_options: Mapping[str, Any]) -> TaskInfo:
    """Returns the description of the task.

    Raises:
        UsageError: The task is not trainable, or has no option with one of the names.
    """
    info = task_info(task)
    if not info.trainable:
        raise UsageError(f"the task {task} is not fine-tuned; pretraining trains it (kbert pretrain)")
    refuse_unknown(f"the task {task}", task_options, list(keyword_infos(info)))
    return info


def _named(columns: Mapping[str, str]) -> dict[str, str]:
    """Returns the columns by the names of their keywords, such as "text_column"."""
    return {f"{role}_column": name for role, name in columns.items()}


def _batches(options: FinetuneOptions, plan: FinetuningPlan) -> LengthBucketedBatches | PoissonBatches:
    if plan.privacy is not None:
        return PoissonBatches(
            plan.rows,
            expected=plan.privacy.draw_size,
            batch_size=options.batch_size,
            steps=plan.settings.steps,
            sequence_length=plan.sequence_length,
            pad_id=plan.start.tokenizer.vocabulary.pad_id,
        )
    return LengthBucketedBatches(
        plan.rows,
        batch_size=options.batch_size,
        steps=plan.settings.steps,
        sequence_length=plan.sequence_length,
        pad_id=plan.start.tokenizer.vocabulary.pad_id,
        seed=options.seed,
    )


def _private_training(run: Run, plan: FinetuningPlan) -> dict[str, Any]:
    """Returns the arguments of `Run.make_loop` with which a run is private; none if it is not."""
    privacy = plan.privacy
    if privacy is None:
        return {}
    check_one_device(run.placement.strategy.num_replicas_in_sync)
    make_step = functools.partial(
        PrivateStep, clip=privacy.clip, noise_multiplier=privacy.noise_multiplier, expected=privacy.draw_size
    )
    return {"make_step": make_step, "meter": TimeOnly(plan.start.config)}


def _used_tokens(plan: FinetuningPlan) -> np.ndarray | None:
    """Returns the ids of all training tokens and of padding, or None if they are most of the vocabulary."""
    if plan.task.trains_whole_vocabulary:
        return None
    vocabulary = plan.start.tokenizer.vocabulary
    used = np.union1d(plan.rows.ids.values, [vocabulary.pad_id])
    return used if len(used) < len(vocabulary) / 2 else None


def _learning_rates(run: Run, loop: TrainingLoop, batches: LengthBucketedBatches, centre: float) -> dict[str, Any]:
    """Runs the learning-rate range test around `centre`, and writes its curve."""
    curve = as_json(run_range_test(loop, batches, centre))
    if run.is_chief:
        files.write_json(run.folder / LEARNING_RATES_FILE, curve)
    return curve


def _evaluation(
    options: FinetuneOptions,
    plan: FinetuningPlan,
    model: Any,
    bindings: Any,
    best: BestWeights,
    adapter: TrainedAdapter | None,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that evaluates the model after a step and keeps the weights if they are the best so far.

    The function predicts with the graph that is served later. Only the chief calls it, because only the chief has the
    rows of the validation examples.
    """
    tokenizer, validation = plan.start.tokenizer, plan.examples.validation
    predictor = Predictor(plan.task, model, tokenizer, plan.sequence_length, plan.encode)
    validation_loss = None
    if plan.validation_rows is not None:
        validation_loss = ValidationLoss(
            model,
            plan.task,
            plan.validation_rows,
            batch_size=options.batch_size,
            sequence_length=plan.sequence_length,
            pad_id=tokenizer.vocabulary.pad_id,
        )

    def evaluate(step: int) -> dict[str, float]:
        answers = predictor.answers_for_examples(validation)
        tuned = plan.task.with_tuned_thresholds(validation, answers)
        metrics = tuned.evaluate(validation, answers)
        if plan.privacy is not None:
            metrics.pop(WORST_EXAMPLES, None)  # texts must not be in any file, nor in the one of the best weights
        if validation_loss is not None:
            metrics[LOSS] = validation_loss()
        if plan.task.main_metric not in metrics:
            raise UsageError(
                f"the validation data do not allow {plan.task.main_metric} to be computed; give another --main-metric"
            )
        if best.would_keep(metrics):
            metrics |= interval_of(tuned, validation, answers, metrics)
        matrices = {} if adapter is None else adapter.matrices()
        best.offer(step, metrics, tuned.settings(), {**tensor_names.read_tensors(bindings), **matrices})
        return {f"validation_{name}": value for name, value in metrics.items() if isinstance(value, float)}

    return evaluate


def _calibration(
    options: FinetuneOptions,
    plan: FinetuningPlan,
    task: TrainableTask[Any],
    model: Any,
    weights: Mapping[str, Any],
) -> Calibration | None:
    """Calibrates the model with the best weights on the validation examples, if the options request it."""
    if not options.calibrate and options.abstain_below is None and options.target_risk is None:
        return None
    predictor = Predictor(task, model, plan.start.tokenizer, plan.sequence_length, plan.encode)
    found = calibrated(predictor, weights, plan.examples.validation, options, temperature=options.calibrate)
    if options.calibrate:
        _LOG.info(
            "calibrated with the temperature %.3f: the calibration error on the validation examples is %.4f, and was "
            "%.4f",
            found.task.temperature,
            found.metrics["calibration_error"],
            found.metrics.get("calibration_error_before", found.metrics["calibration_error"]),
        )
    return found


def _finish(
    run: Run,
    options: FinetuneOptions,
    plan: FinetuningPlan,
    model: Any,
    bindings: Any,
    best: BestWeights,
    steps: int,
    reading: Reading,
    adapter: TrainedAdapter | None,
) -> dict[str, Any]:
    """Writes the model folder with the best weights, and returns their metrics."""
    best_step, metrics, task_settings, weights = best.load()
    known = plan.examples
    if plan.privacy is not None:  # the constant answer must not be a statistic of the training rows
        known = dataclasses.replace(known, train=known.validation)
    baseline = baseline_of(plan.task, known)
    warn_of_trivial_result(plan.task, baseline.get(BASELINE), metrics, private=plan.privacy is not None)
    task = trainable_task_class(plan.task.name).from_settings(task_settings)
    tensor_names.assign_tensors(bindings, weights)
    if options.quantize_aware is not None:
        # The metrics are those of the rounded weights.
        store_rounded_weights(model)
        weights = {**weights, **tensor_names.read_tensors(bindings)}
    calibration = _calibration(options, plan, task, model, weights)
    if calibration is not None:
        task, weights, metrics = calibration.task, calibration.tensors, {**metrics, **calibration.metrics}
        task_settings = task.settings()
    config, tokenizer, encoder = plan.start.config, plan.start.tokenizer, model.encoder
    run.write_projector(encoder, tokenizer.vocabulary)
    # The user's texts must not become part of the model folder.
    worst = {name: value for name, value in metrics.items() if name == WORST_EXAMPLES}
    if worst and plan.privacy is None:
        files.write_json(run.folder / WORST_EXAMPLES_FILE, worst)
    bundle = Bundle(
        config=config,
        tokenizer=tokenizer,
        tensors=tensor_names.read_tensors(bindings),
        architecture=task.architecture,
        settings={
            "kind": "task",
            "task": task_settings,
            "reading": reading.settings(),
            "sequence_length": plan.sequence_length,
            "metrics": {name: value for name, value in metrics.items() if name not in worst},
            "main_metric": best.metric,
            **baseline,
            **({} if options.quantize_aware is None else {QUANTIZE_AWARE: options.quantize_aware}),
            **({} if plan.privacy is None else {"privacy": plan.privacy.settings(steps)}),
            **license_settings(run.options),
        },
        foreign_config=task.foreign_config(),
        modules=task.sentence_modules(plan.sequence_length),
    )
    if adapter is not None:
        adapter.save(run.folder / ADAPTER_FOLDER, bundle, weights)
    examples = len(plan.training_examples)
    bundle.save(
        run.folder,
        task_card(
            task,
            config,
            encoder,
            metrics,
            examples,
            steps,
            best_step,
            plan.schedule,
            run.folder,
            {} if plan.privacy is None else plan.privacy.card_rows(steps),
        ),
    )
    write_run_provenance(run.folder, run.command, run.options)
    return metrics
