"""Fine-tuning: a model and a user's files in, a bundle that answers out; the same for every task."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.models import tensor_names
from kbert.models.encoder import BertEncoder
from kbert.prediction.predictor import Predictor
from kbert.tasks.catalogue import task_info
from kbert.tasks.factories import trainable_task_class
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.metrics.worst_examples import WORST_EXAMPLES
from kbert.tasks.readers.remembered import Reading
from kbert.text.graph.encoder import GraphEncoder
from kbert.training.data.augmentation import with_augmentation
from kbert.training.data.batches import LengthBucketedBatches
from kbert.training.data.task_examples import digest, read_task_examples
from kbert.training.defaults import default_epochs, default_head_learning_rate, default_learning_rate
from kbert.training.devices.jit import skips_padding
from kbert.training.devices.precision import prepare_precision
from kbert.training.devices.strategy import make_strategy
from kbert.training.learning_rate_finder import STEPS, as_json, run_range_test
from kbert.training.loop.callbacks import check_callbacks, start_callbacks
from kbert.training.loop.early_stopping import EarlyStopping
from kbert.training.loop.inputs import Phase
from kbert.training.loop.loop import FREE_SETTINGS, LoopSettings, TrainingLoop, check_batch_size
from kbert.training.loop.validation_loss import ValidationLoss
from kbert.training.monitoring.monitor import TENSORBOARD_FOLDER, Monitor, SilentMonitor
from kbert.training.monitoring.observers import Looks, make_observers
from kbert.training.monitoring.peak import matrix_peak
from kbert.training.monitoring.projector import write_projector
from kbert.training.monitoring.throughput import Meter
from kbert.training.new_weights import assign_starting_weights, tell_new_weights
from kbert.training.optimizers.frozen_layers import check_frozen_layers, freeze_layers
from kbert.training.optimizers.optimizers import OptimizerSettings
from kbert.training.optimizers.schedules import Schedule
from kbert.training.run_folder.best_weights import BEST_FILE, BestWeights
from kbert.training.run_folder.checkpoints import Checkpoints
from kbert.training.run_folder.environment import write_environment
from kbert.training.run_folder.runs import CHECKPOINT_FOLDER, LEARNING_RATES_FILE, WORST_EXAMPLES_FILE, open_run
from kbert.training.run_folder.task_card import task_card
from kbert.training.starting_point import starting_point, with_settings
from kbert.training.trivial_results import warn_of_trivial_result


def finetune(
    task: str,
    *,
    model: str | files.PathLike,
    train: files.PathLike | Any,
    validation: files.PathLike | Any | None = None,
    validation_split: float | None = None,
    fold: tuple[int, int] | None = None,
    output: files.PathLike,
    vocab: files.PathLike | None = None,
    cased: bool = False,
    epochs: float | None = None,
    batch_size: int = 32,
    optimizer: str = "adamw",
    learning_rate: float | None = None,
    head_learning_rate: float | None = None,
    warmup_proportion: float = 0.1,
    schedule: str = "linear",
    power: float = 2.0,
    weight_decay: float = 0.01,
    layer_decay: float = 1.0,
    bias_correction: bool = True,
    sequence_length: int | None = None,
    accumulation: int = 1,
    dropout: float | None = None,
    initializer_range: float | None = None,
    frozen_layers: int = 0,
    frozen_encoder: bool = False,
    augment: str | None = None,
    synonyms: files.PathLike | None = None,
    augment_copies: int = 1,
    precision: str = "float32",
    remat: bool = False,
    strategy: str = "auto",
    cluster: str | None = None,
    limit: int | None = None,
    skip_bad: int = 0,
    evaluate_every: int | None = None,
    early_stopping: int | None = None,
    main_metric: str | None = None,
    find_learning_rate: bool = False,
    log_every: int = 10,
    checkpoint_every: int = 500,
    histograms_every: int | None = None,
    profile: tuple[int, int] | None = None,
    projector: bool = False,
    seed: int = 0,
    resume: bool = False,
    show_progress: bool = True,
    callbacks: Sequence[Any] = (),
    **task_options: Any,
) -> dict[str, Any]:
    """Fine-tunes a model for a task, and keeps the weights that did best on the validation file.

    Args:
        task: The name of a task, such as "classification".
        model: A bundle, or a preset (fresh weights; needs `vocab`). A finished model of the same task keeps its head,
            matched by the names of labels; a line on standard error names the parts with fresh weights.
        train: A file of examples, in a format of the task; or a table in memory: a data frame of pandas or polars, or a
            list of dictionaries.
        validation: Another one.
        validation_split: Without another one: the part of the training rows that is held out for it, drawn by `seed`.
        fold: Without another one: (number from 0, K), the part of the training rows that is held out for it, one of K,
            drawn by `seed`; see kbert.training.search.repeats.cross_validate.
        output: The run's folder, a bundle in the end.
        vocab: The vocabulary of a preset.
        cased: With a preset: keep case and accents.
        epochs: The number of passes over the training rows. The default is 3, or for few rows as many as make 500
            steps, or 20 steps for each class, at most 20 (kbert.training.defaults).
        batch_size: Examples a step, over all replicas.
        optimizer: "adamw", "lamb", "muon" or "sgd".
        learning_rate: The peak at the end of the warm-up; it then falls to 0. The default follows the width of the
            model, and whether its weights are pretrained (kbert.training.defaults): 3e-5 for pretrained weights of
            width 768.
        head_learning_rate: The peak for the pooler and the task's head. The default is eight times `learning_rate` on
            pretrained weights, at most 1e-3, and `learning_rate` on fresh ones.
        warmup_proportion: Part of the steps that warm up.
        schedule: How it falls: "linear", "polynomial", "cosine", or "constant", not at all.
        power: Of "polynomial".
        weight_decay: Times the learning rate, taken off each weight; not off biases and LayerNorm.
        layer_decay: Each block learns at this times the rate of the block above it.
        bias_correction: Correct the optimizer's means for their start at 0. The original BERT does not, which makes
            fine-tuning on few rows unstable (arXiv 2006.05987).
        sequence_length: Longest input in tokens, special ones included; longer texts lose their end, or are read in
            windows, as the task does. By default that of a model which gives vectors already, else what
            kbert.tasks.catalogue says, or the model's positions if fewer.
        accumulation: Micro-batches a step.
        dropout: Instead of the model's own, everywhere.
        initializer_range: Standard deviation of fresh weights, instead of the model's own 0.02. That is for a width of
            768; narrow models learn sooner from a wider one, such as 0.05 for a width of 128.
        frozen_layers: The embeddings and so many blocks keep their weights; no gradient is computed for them.
        frozen_encoder: All blocks do; the pooler and the task's head learn.
        augment: "masked": add copies of the training texts in which words are replaced by what the starting model
            predicts for them.
        synonyms: A file with a word and its synonyms a line: add copies in which words are replaced by synonyms.
        augment_copies: How many copies of each text either of them adds.
        precision: "float32", "bfloat16" or "float16", of matrix products. With float16 the loss is scaled, and a step
            whose gradients overflow is left out.
        remat: Compute each block again in the backward pass instead of keeping it: less memory for more work.
        strategy: "auto", "one", "mirrored", "multi-worker" or "tpu".
        cluster: Who knows the workers: "tf-config", "slurm" or "kubernetes"; by default the environment tells.
        limit: Use so many training examples, drawn by `seed`.
        skip_bad: Bad rows in each of the files that may be skipped.
        evaluate_every: Steps between evaluations; an epoch by default.
        early_stopping: Stop after so many evaluations that were not better. If the main metric is equal, the
            validation loss decides. Evaluations do not count while the metric is still 0.
        main_metric: The metric that decides which weights are best: "loss" (on the validation file), or a metric of the
            task (kbert.tasks.catalogue); the default is the first of these.
        find_learning_rate: Instead of training, try rising learning rates around the default for 100 steps, and write
            lr_finder.json.
        log_every: Steps a row of metrics.jsonl.
        checkpoint_every: Steps between checkpoints.
        histograms_every: Steps between histograms of all weights in TensorBoard.
        profile: (steps done when it begins, and when it ends) of a recording for TensorBoard's profile plugin.
        projector: At the end, write the token embeddings for TensorBoard's projector.
        seed: Of the head's weights, order and dropout.
        resume: Continue the run in `output` from its last checkpoint; start it if there is none.
        show_progress: Show progress on standard error.
        callbacks: Keras callbacks, such as those of MLflow, W&B and TensorBoard. `on_train_batch_end` is
            called for each step, at most a second late; an epoch ends at each evaluation. See
            kbert.training.loop.callbacks.
        task_options: The columns of tables, such as `text_column`: names in the header, or 1-based numbers in files
            without one; and the task's own options (kbert.tasks.catalogue).

    Returns:
        The metrics of the best weights on the validation file; nothing where another worker is the chief. With
        `find_learning_rate` the fields of kbert.training.learning_rate_finder.LearningRateCurve.

    Raises:
        UsageError: An option cannot be, or `output` holds another run.
        DataError: A file cannot be read; with file and line.
        KbertError: The model cannot be read, or training cannot go on.
    """
    info = task_info(task)
    if not info.trainable:
        raise UsageError(f"the task {task} is not fine-tuned; pretraining trains it (kbert pretrain)")
    columns, options = info.split(task_options)
    if main_metric is not None and main_metric not in (*info.metrics, LOSS):
        raise UsageError(
            f"main_metric must be one of {', '.join((*info.metrics, LOSS))}. Received: main_metric={main_metric!r:.60}"
        )
    if check_callbacks(callbacks) and find_learning_rate:
        raise UsageError("callbacks belong to training; leave them out with find_learning_rate. Received: both")
    found = read_task_examples(
        task,
        train,
        validation=validation,
        validation_split=validation_split,
        fold=fold,
        columns=columns,
        options=options,
        limit=limit,
        skip_bad=skip_bad,
        seed=seed,
    )
    the_task = found.task if main_metric is None else found.task.with_main_metric(main_metric)
    prepare_precision(precision)
    # Before texts are tokenized: workers cannot be joined once TensorFlow has computed.
    placement = make_strategy(strategy, cluster)
    if placement.is_chief:
        found.tell_skipped()
    examples = with_augmentation(
        found.train, model=model, augment=augment, synonyms=synonyms, augment_copies=augment_copies, seed=seed
    )

    if placement.is_chief and len(examples) > len(found.train):
        print(f"{len(examples) - len(found.train):,} changed copies of training texts added", file=sys.stderr)

    config, tokenizer, start = starting_point(model, vocab, cased)
    if start is not None:
        the_task = the_task.for_starting_model(resolve(model))
    config = with_settings(config, dropout, initializer_range)
    if sequence_length is None:
        sequence_length = min(the_task.longest_input or info.sequence_length, config.max_position_embeddings)
    if not 5 <= sequence_length <= config.max_position_embeddings:
        raise UsageError(
            f"sequence_length must be from 5 to the model's {config.max_position_embeddings} positions. "
            f"Received: sequence_length={sequence_length}"
        )
    if (epochs is not None and not epochs > 0) or batch_size < 1:
        raise UsageError(
            f"epochs must be above 0 and batch_size at least 1. Received: epochs={epochs}, batch_size={batch_size}"
        )
    default_rate = default_learning_rate(config.hidden_size, pretrained=start is not None)
    peak_rate = default_rate if learning_rate is None else learning_rate
    if head_learning_rate is None:
        head_learning_rate = default_head_learning_rate(peak_rate, pretrained=start is not None)
    check_frozen_layers(frozen_layers, config.num_hidden_layers, frozen_encoder=frozen_encoder)
    encode = GraphEncoder(tokenizer.to_graph(), sequence_length)
    the_task = the_task.for_training_examples(examples, encode)
    rows = the_task.training_rows(examples, encode)
    chosen_epochs = (
        default_epochs(len(rows), batch_size, len(the_task.head_row_names or ())) if epochs is None else epochs
    )
    steps = STEPS if find_learning_rate else max(1, math.ceil(chosen_epochs * len(rows) / batch_size))
    course = Schedule(peak_rate, steps, round(steps * warmup_proportion), schedule, power)
    rule = OptimizerSettings(
        optimizer,
        weight_decay=weight_decay,
        bias_correction=bias_correction,
        layer_decay=layer_decay,
        head_rate=head_learning_rate / peak_rate,
    )
    if placement.is_chief:
        for note in rows.notes:
            print(note, file=sys.stderr)
        if not find_learning_rate and (learning_rate is None or epochs is None):
            defaults = []
            if learning_rate is None:
                kind = "fresh" if start is None else "pretrained"
                defaults.append(f"--learning-rate, for {kind} weights of width {config.hidden_size}")
            if epochs is None:
                defaults.append("--epochs, for so many rows")
            print(
                f"learning rate {peak_rate:g} (head {head_learning_rate:g}), {chosen_epochs:g} epochs of "
                f"{len(rows):,} rows, {steps:,} steps "
                f"(by default: {'; '.join(defaults)})",
                file=sys.stderr,
            )
    settings = LoopSettings(steps, accumulation, log_every, checkpoint_every)
    if evaluate_every is None:
        evaluate_every = max(1, math.ceil(len(rows) / batch_size))
    if evaluate_every < 1:
        raise UsageError(f"evaluate_every must be at least 1. Received: evaluate_every={evaluate_every}")
    patience = None
    if early_stopping is not None:
        metric = f"validation_{the_task.main_metric}"
        patience = EarlyStopping(early_stopping, metric, the_task.larger_is_better)
    looks = Looks(histograms_every, profile=profile)
    check_batch_size(batch_size, settings, placement)
    if the_task.needs_whole_batch and accumulation * placement.strategy.num_replicas_in_sync > 1:
        raise UsageError(
            f"this training of {task} compares all texts of a batch, on one device at once: leave --accumulation at 1, "
            f"and give --strategy one. Received: accumulation={accumulation}, "
            f"{placement.strategy.num_replicas_in_sync} replicas"
        )
    measures = placement.is_chief and not find_learning_rate
    validation_rows = the_task.validation_rows(found.validation, encode) if measures else None
    if the_task.main_metric == LOSS and measures and validation_rows is None:
        raise UsageError(
            f"the validation data lacks the targets of the loss of {task}; give another --main-metric than loss"
        )
    folder = Path(output)
    if measures:
        open_run(
            folder,
            {
                "command": f"finetune {task}",
                "model": str(model),
                "data": digest(examples, found.validation),
                "vocabulary": tokenizer.vocabulary.sha256(),
                "tokenizer": json.loads(json.dumps(dataclasses.asdict(tokenizer.settings))),
                "config": config.to_dict(),
                "task": the_task.settings(),
                "main_metric": the_task.main_metric,
                "sequence_length": sequence_length,
                "batch_size": batch_size,
                "optimizer": dataclasses.asdict(rule),
                "schedule": dataclasses.asdict(course),
                "precision": precision,
                "remat": remat,
                "evaluate_every": evaluate_every,
                "early_stopping": early_stopping,
                "frozen_layers": config.num_hidden_layers if frozen_encoder else frozen_layers,
                "seed": seed,
                **dataclasses.asdict(settings),
            },
            resume=resume,
            free=(*FREE_SETTINGS, "remat"),
        )

    skip_padding = skips_padding(placement, jit=False)
    with placement.strategy.scope():
        encoder = BertEncoder(
            config, pooled=the_task.pooled, precision=precision, seed=seed, remat=remat, skip_padding=skip_padding
        )
        task_model = the_task.build(encoder)
    bindings = the_task.bindings(task_model)
    if start is not None:
        parts = assign_starting_weights(the_task, bindings, start)
        if placement.is_chief:
            tell_new_weights(parts)
    freeze_layers(encoder, frozen_layers, frozen_encoder=frozen_encoder)
    batches = LengthBucketedBatches(
        rows,
        batch_size=batch_size,
        steps=steps,
        sequence_length=sequence_length,
        pad_id=tokenizer.vocabulary.pad_id,
        seed=seed,
    )
    peak = matrix_peak(precision, placement)
    loop = TrainingLoop(
        task_model,
        objective=the_task,
        phases=[Phase(steps, batches)],
        schedule=course,
        optimizer=rule,
        settings=settings,
        placement=placement,
        meter=Meter(config, peak, skip_padding=skip_padding),
        loss_scaling=precision == "float16",
    )
    if find_learning_rate:
        curve = as_json(run_range_test(loop, batches, peak_rate))
        if placement.is_chief:
            files.write_json(folder / LEARNING_RATES_FILE, curve)
        return curve

    # The model that is trained answers for the validation file through the graph that will be served.
    predictor = Predictor(the_task, task_model, tokenizer, sequence_length, encode)
    best = BestWeights(
        folder / CHECKPOINT_FOLDER / BEST_FILE,
        the_task.main_metric,
        larger_is_better=the_task.larger_is_better,
        resume=resume,
    )

    validation_loss = None
    if validation_rows is not None:
        validation_loss = ValidationLoss(
            task_model,
            the_task,
            validation_rows,
            batch_size=batch_size,
            sequence_length=sequence_length,
            pad_id=tokenizer.vocabulary.pad_id,
        )

    def evaluate(step: int) -> dict[str, float]:
        answers = predictor.answers_for_examples(found.validation)
        tuned = the_task.with_tuned_thresholds(found.validation, answers)
        metrics = tuned.evaluate(found.validation, answers)
        if validation_loss is not None:
            metrics[LOSS] = validation_loss()
        if the_task.main_metric not in metrics:
            raise UsageError(f"the validation data do not give {the_task.main_metric}; give another --main-metric")
        best.offer(step, metrics, tuned.settings(), tensor_names.read_tensors(bindings))
        return {f"validation_{name}": value for name, value in metrics.items() if isinstance(value, float)}

    observers = make_observers(looks, task_model, folder / TENSORBOARD_FOLDER)
    if placement.is_chief:
        write_environment(folder, placement, peak)
    monitor = (
        Monitor(folder, steps=steps, title="finetune", show_progress=show_progress)
        if placement.is_chief
        else SilentMonitor()
    )
    loop.run(
        monitor,
        Checkpoints(folder / CHECKPOINT_FOLDER),
        resume=resume,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        early_stopping=patience,
        observers=observers,
        callbacks=start_callbacks(callbacks, task_model, loop, evaluate_every),
    )
    if not placement.is_chief:
        return {}
    best_step, metrics, task_settings, weights = best.load()
    warn_of_trivial_result(the_task, found, metrics)
    the_task = trainable_task_class(task).from_settings(task_settings)
    tensor_names.assign_tensors(bindings, weights)
    if projector:
        write_projector(folder / TENSORBOARD_FOLDER, encoder.embeddings.token_table.numpy(), tokenizer.vocabulary)
    # Texts of the user's are no part of a bundle.
    worst = {name: value for name, value in metrics.items() if name == WORST_EXAMPLES}
    if worst:
        files.write_json(folder / WORST_EXAMPLES_FILE, worst)
    Bundle(
        config=config,
        tokenizer=tokenizer,
        tensors=tensor_names.read_tensors(bindings),
        architecture=the_task.architecture,
        settings={
            "kind": "task",
            "task": task_settings,
            "reading": Reading.remembered(info, found.columns, options).settings(),
            "sequence_length": sequence_length,
            "metrics": {name: value for name, value in metrics.items() if name not in worst},
            "main_metric": best.metric,
        },
        foreign_config=the_task.foreign_config(),
        modules=the_task.sentence_modules(sequence_length),
    ).save(
        folder,
        task_card(the_task, config, encoder, metrics, len(examples), loop.progress.step, best_step, course, folder),
    )
    return metrics
