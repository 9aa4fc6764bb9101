"""Pretraining: a corpus and a model in, a bundle out."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.config import PRESETS, BertConfig, preset_config
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.errors import BundleError, UsageError
from kbert.model_folder.bundle import Bundle, describe_parameters, is_bundle, model_card
from kbert.model_folder.hub import resolve
from kbert.models import tensor_names
from kbert.models.encoder import BertEncoder
from kbert.models.positional_heads import make_heads_positional
from kbert.models.pretraining import PretrainingModel
from kbert.text.vocabulary import Vocabulary
from kbert.training.corpus_tokenizer import check_corpus, same_tokenizer
from kbert.training.devices.jit import skips_padding, use_jit
from kbert.training.devices.precision import prepare_precision
from kbert.training.devices.strategy import make_strategy
from kbert.training.evaluation import HeldOutCorpus, HeldOutEvaluation
from kbert.training.loop.callbacks import check_callbacks, start_callbacks
from kbert.training.loop.inputs import Phase
from kbert.training.loop.loop import FREE_SETTINGS, LoopSettings, TrainingLoop, check_batch_size
from kbert.training.loop.objectives import PretrainingObjective
from kbert.training.monitoring.monitor import TENSORBOARD_FOLDER, Monitor, SilentMonitor
from kbert.training.monitoring.observers import Looks, Periodic, make_observers
from kbert.training.monitoring.peak import matrix_peak
from kbert.training.monitoring.projector import write_projector
from kbert.training.monitoring.samples import SAMPLES, Samples
from kbert.training.monitoring.throughput import Meter
from kbert.training.new_weights import new_parts, tell_new_weights
from kbert.training.optimizers.optimizers import OptimizerSettings
from kbert.training.optimizers.schedules import Schedule
from kbert.training.run_folder.checkpoints import Checkpoints
from kbert.training.run_folder.environment import write_environment
from kbert.training.run_folder.runs import CHECKPOINT_FOLDER, open_run
from kbert.training.starting_point import preset_names, with_settings

ARCHITECTURE = "BertForPreTraining"
INITIALIZATIONS = ("random", "positional")
_PAIR_OBJECTIVES = {"nsp": "next sentence prediction", "sop": "sentence order prediction"}


def pretrain(
    *,
    corpus: files.PathLike | Sequence[files.PathLike],
    model: str | files.PathLike,
    output: files.PathLike,
    steps: int | None = None,
    phases: Sequence[tuple[int, int]] = (),
    batch_size: int = 32,
    pack_to: int | None = None,
    vocab: files.PathLike | None = None,
    cased: bool = False,
    skip_corrupt: int = 0,
    optimizer: str = "adamw",
    learning_rate: float = 1e-4,
    warmup_steps: int | None = None,
    schedule: str = "linear",
    power: float = 2.0,
    weight_decay: float = 0.01,
    layer_decay: float = 1.0,
    bias_correction: bool | None = None,
    accumulation: int = 1,
    dropout: float | None = None,
    initializer_range: float | None = None,
    initialization: str = "random",
    precision: str = "float32",
    remat: bool = False,
    jit: str = "auto",
    strategy: str = "auto",
    cluster: str | None = None,
    log_every: int = 10,
    checkpoint_every: int = 500,
    keep_checkpoints: int = 2,
    on_spike: str = "stop",
    spike_threshold: float | None = 2.0,
    validation_corpus: files.PathLike | None = None,
    evaluate_every: int | None = None,
    samples_every: int | None = None,
    histograms_every: int | None = None,
    profile: tuple[int, int] | None = None,
    projector: bool = False,
    seed: int = 0,
    resume: bool = False,
    show_progress: bool = True,
    callbacks: Sequence[Any] = (),
) -> dict[str, Any]:
    """Pretrains a BERT with the masked language model and next sentence prediction.

    Args:
        corpus: A folder that `build_corpus` wrote; its vocabulary becomes the model's. Or a folder, a file or a glob of
            TFRecord files that the original create_pretraining_data.py or the Model Garden wrote. With `phases` one
            for each.
        model: A preset (fresh weights), or a model folder to go on from, with the vocabulary of the corpus and the same
            normalization of text.
        output: The run's folder, a bundle in the end: config.json, vocab.txt, model.safetensors, metrics.jsonl,
            checkpoints/, tensorboard/.
        steps: Updates of the weights.
        phases: Instead of `steps`: the sequence length of each corpus and the steps on it, such as
            [(128, 9000), (512, 1000)]. The learning rate has one course over all of them.
        batch_size: Examples a step, over all replicas; with `pack_to`, rows of several examples.
        pack_to: Pack several short examples into each row of so many tokens, none of which sees another.
        vocab: The vocabulary of TFRecord files without a manifest.json: a vocab.txt, or a model folder with all its
            settings.
        cased: Whether the text of these was not lower-cased, if `vocab` is a vocab.txt.
        skip_corrupt: How many damaged records may be left out; by default the first stops the run.
        optimizer: "adamw", "lamb", "muon" or "sgd".
        learning_rate: At the end of the warm-up; falls to 0.
        warmup_steps: By default a tenth of the steps, at most 10,000.
        schedule: How it falls: "linear", "polynomial", "cosine", or "constant", not at all.
        power: Of "polynomial".
        weight_decay: Times the learning rate, taken off each weight; not off biases and LayerNorm.
        layer_decay: Each block learns at this times the rate of the block above it.
        bias_correction: Correct the optimizer's means for their start at 0. By default LAMB and Muon do, and AdamW does
            not, as in the original BERT.
        accumulation: Micro-batches a step.
        dropout: Instead of the model's own, everywhere.
        initializer_range: Standard deviation of fresh weights, instead of the model's own 0.02. That is for a width of
            768; narrow models learn sooner from a wider one, such as 0.05 for a width of 128.
        initialization: Of a preset: "random", as in the paper, or "positional": heads of the first block begin by
            looking at the tokens beside theirs (`kbert.models.positional_heads`). Small models sooner know more than
            how frequent words are.
        precision: "float32", "bfloat16" or "float16", of matrix products. With float16 the loss is scaled, and a step
            whose gradients overflow is left out.
        remat: Compute each block again in the backward pass instead of keeping it: less memory for more work.
        jit: Compile the step with XLA: "on", "off", or "auto" where it pays.
        strategy: "auto", "one", "mirrored", "multi-worker" or "tpu". Workers share `corpus` and `output`, on a file
            system that all see, and the chief alone writes.
        cluster: Who knows the workers: "tf-config", "slurm" or "kubernetes"; by default the environment tells.
        log_every: Steps a row of metrics.jsonl.
        checkpoint_every: Steps between checkpoints.
        keep_checkpoints: How many of the last are kept; that with the lowest loss is, too.
        on_spike: When the loss jumps or is no number: "stop", or "rewind" to the last checkpoint and leave out the
            batches since.
        spike_threshold: A loss jumps that is this far above the mean of the last 100 steps, and above six of their
            standard deviations; None: none does.
        validation_corpus: Another corpus with the same vocabulary, which is measured and never learnt from. Its masks
            are fixed. Its loss tells which checkpoint is the best.
        evaluate_every: Steps between its measurements; by default as `checkpoint_every`.
        samples_every: Steps between texts with filled-in masks in samples.jsonl and TensorBoard: of the validation
            corpus, or without one of the first batch.
        histograms_every: Steps between histograms of all weights in TensorBoard.
        profile: (steps done when it begins, and when it ends) of a recording for TensorBoard's profile plugin.
        projector: At the end, write the token embeddings for TensorBoard's projector.
        seed: Of weights, order, masks and dropout: the same seed gives the same bytes on a CPU.
        resume: Continue the run in `output` from its last checkpoint; start it if there is none.
        show_progress: Show progress on standard error.
        callbacks: Keras callbacks, such as those of MLflow, W&B and TensorBoard. `on_train_batch_end` is
            called for each step, at most a second late; an epoch ends at each evaluation, or without
            `validation_corpus` at each checkpoint. See kbert.training.loop.callbacks.

    Returns:
        The metrics of the first and of the last row, as "first" and "last"; nothing where another worker is the chief.

    Raises:
        UsageError: An option cannot be, or `output` holds another run.
        KbertError: The corpus or the model cannot be read, or training cannot go on.
    """
    prepare_precision(precision)
    check_callbacks(callbacks)
    # Before corpora are looked at: workers cannot be joined once TensorFlow has computed, and it parses records.
    placement = make_strategy(strategy, cluster)
    sources, phase_steps = _corpora(
        corpus,
        steps,
        phases,
        batch_size=batch_size,
        seed=seed,
        pack_to=pack_to,
        vocab=vocab,
        cased=cased,
        skip_corrupt=skip_corrupt,
    )
    batches, steps = sources[0], sum(phase_steps)
    pairs = any(source.labelled for source in sources)
    bundle, config = _starting_point(model, batches.vocabulary)
    tokenizer = batches.tokenizer if bundle is None else bundle.tokenizer
    if bundle is not None:
        for source, folder in zip(sources, _folders(corpus), strict=True):
            check_corpus(source, tokenizer, corpus=folder, model=str(model))
    config = with_settings(config, dropout, initializer_range)
    if initialization not in INITIALIZATIONS:
        raise UsageError(f"initialization must be one of {', '.join(INITIALIZATIONS)}. Received: {initialization=}")
    if bundle is not None and initialization != "random":
        raise UsageError(f"{model} brings its own weights; leave --initialization to presets")
    longest = max(source.manifest.sequence_length for source in sources)
    if longest > config.max_position_embeddings:
        raise UsageError(
            f"the corpus has examples of {longest} tokens, the model positions for "
            f"{config.max_position_embeddings}; build the corpus with a smaller --sequence-length"
        )
    if warmup_steps is None:
        warmup_steps = min(10_000, steps // 10)
    course = Schedule(learning_rate, steps, warmup_steps, schedule, power)
    if bias_correction is None:
        bias_correction = optimizer in ("lamb", "muon")
    rule = OptimizerSettings(
        optimizer, weight_decay=weight_decay, bias_correction=bias_correction, layer_decay=layer_decay
    )
    compiled = use_jit(jit)
    settings = LoopSettings(steps, accumulation, log_every, checkpoint_every, on_spike, spike_threshold, compiled)
    check_batch_size(batch_size, settings, placement)
    folder = Path(output)
    held_out = (
        None
        if validation_corpus is None
        else HeldOutCorpus(validation_corpus, tokenizer, model=str(model if bundle else _folders(corpus)[0]))
    )
    if held_out is not None:
        held_out.check_length(config.max_position_embeddings)
    evaluate_every = _evaluation_period(evaluate_every, checkpoint_every, held_out)
    looks = Looks(histograms_every, samples_every, profile)
    if placement.is_chief:
        fingerprints = "".join(source.manifest.fingerprint() for source in sources)
        open_run(
            folder,
            {
                "command": "pretrain",
                "steps": steps,
                "corpus": _sha256(fingerprints),
                "phases": phase_steps,
                "model": str(model),
                "config": config.to_dict(),
                "batch_size": batch_size,
                "pack_to": pack_to,
                "optimizer": dataclasses.asdict(rule),
                "schedule": dataclasses.asdict(course),
                "initialization": initialization,
                "precision": precision,
                "remat": remat,
                "seed": seed,
                "validation_corpus": None if held_out is None else _sha256(held_out.fingerprint()),
                "evaluate_every": evaluate_every,
                **dataclasses.asdict(settings),
            },
            resume=resume,
            free=(*FREE_SETTINGS, "remat"),
        )

    skip_padding = pack_to is None and skips_padding(placement, jit=compiled)
    with placement.strategy.scope():
        encoder = BertEncoder(
            config,
            packed=pack_to is not None,
            precision=precision,
            seed=seed,
            remat=remat,
            skip_padding=skip_padding,
        )
        if initialization == "positional":
            make_heads_positional(encoder)
        pretraining_model = PretrainingModel(encoder)
        if bundle is not None:
            bindings = tensor_names.pretraining_bindings(pretraining_model)
            tensor_names.assign_pretrained(bindings, bundle.tensors)
            if placement.is_chief:
                tell_new_weights(new_parts(bindings, bundle.tensors))
    observers = make_observers(looks, pretraining_model, folder / TENSORBOARD_FOLDER)
    evaluate = None
    if held_out is not None:
        evaluation = HeldOutEvaluation(pretraining_model, held_out, batch_size)
        evaluate = lambda step: {f"validation_{name}": value for name, value in evaluation().items()}  # noqa: E731
    if samples_every is not None:
        shown = next(held_out.batches(SAMPLES) if held_out is not None else sources[0].batches())
        samples = Samples(pretraining_model, shown, tokenizer.vocabulary, folder)
        observers.append(Periodic(samples_every, samples, at_start=True))
    peak = matrix_peak(precision, placement)
    if placement.is_chief:
        write_environment(folder, placement, peak)
    loop = TrainingLoop(
        pretraining_model,
        objective=PretrainingObjective(pairs),
        phases=[Phase(length, source) for length, source in zip(phase_steps, sources, strict=True)],
        schedule=course,
        optimizer=rule,
        settings=settings,
        placement=placement,
        meter=Meter(config, peak, skip_padding=skip_padding),
        loss_scaling=precision == "float16",
    )
    monitor = (
        Monitor(folder, steps=steps, title="pretrain", show_progress=show_progress, constants=batches.metrics)
        if placement.is_chief
        else SilentMonitor()
    )
    if show_progress and placement.is_chief:
        for source in sources:
            for line in source.describe():
                print(f"pretrain: {line}", file=sys.stderr, flush=True)
    checkpoints = Checkpoints(folder / CHECKPOINT_FOLDER, keep_checkpoints)
    metrics = loop.run(
        monitor,
        checkpoints,
        resume=resume,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        observers=observers,
        callbacks=start_callbacks(callbacks, pretraining_model, loop, evaluate_every or checkpoint_every),
    )
    if not placement.is_chief:
        return {}
    lost = sum(source.source.records_lost for source in sources)
    if show_progress and lost:
        print(f"pretrain: {lost:,} damaged records were left out", file=sys.stderr, flush=True)

    if projector:
        table = pretraining_model.encoder.embeddings.token_table.numpy()
        write_projector(folder / TENSORBOARD_FOLDER, table, tokenizer.vocabulary)
    parameters = pretraining_model.encoder.count_params()
    card = model_card(
        f"BERT ({describe_parameters(parameters)}), pretrained with kbert",
        {
            "Objective": " and ".join(("masked language model", *_pair_objectives(sources))),
            "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {parameters:,} parameters",
            "Corpus": "; then ".join(source.description for source in sources),
            "Training": f"{steps:,} steps of {batch_size} examples, learning rate {learning_rate:g}, {precision}",
            "Loss at the end": f"{metrics['last']['mlm_loss']:.4f} (masked language model)"
            + (f", {metrics['last']['nsp_loss']:.4f} (pairs of texts)" if pairs else ""),
        },
        f"kbert finetune classification --model {folder} --train train.csv --validation dev.csv --output RUN",
    )
    Bundle(
        config=config,
        tokenizer=tokenizer,
        tensors=tensor_names.read_tensors(tensor_names.pretraining_bindings(pretraining_model)),
        architecture=ARCHITECTURE,
        settings={"kind": "pretraining", "steps": steps, "metrics": metrics["last"]},
    ).save(folder, card)
    return metrics


def _pair_objectives(sources: Sequence[PretrainingBatches]) -> list[str]:
    """What is learnt beside the masked language model, in all phases."""
    return sorted({_PAIR_OBJECTIVES[source.manifest.objective] for source in sources if source.labelled})


def _evaluation_period(evaluate_every: int | None, checkpoint_every: int, held_out: HeldOutCorpus | None) -> int:
    """Steps between evaluations; 0 without a corpus for them."""
    if held_out is None:
        if evaluate_every is not None:
            raise UsageError(f"evaluate_every needs a validation_corpus. Received: evaluate_every={evaluate_every}")
        return 0
    if evaluate_every is not None and evaluate_every < 1:
        raise UsageError(f"evaluate_every must be at least 1. Received: evaluate_every={evaluate_every}")
    return evaluate_every or checkpoint_every


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _corpora(
    corpus: files.PathLike | Sequence[files.PathLike],
    steps: int | None,
    phases: Sequence[tuple[int, int]],
    **reading: Any,
) -> tuple[list[PretrainingBatches], list[int]]:
    """The corpus of each phase, and its steps."""
    folders = _folders(corpus)
    if (steps is None) == (not phases):
        raise UsageError(f"give either --steps or --phase. Received: steps={steps}, phases={list(phases)}")
    if len(folders) != max(1, len(phases)):
        raise UsageError(f"each phase needs a --corpus. Received: {len(phases) or 1} phases, {len(folders)} corpora")
    sources = [PretrainingBatches(folder, **reading) for folder in folders]
    for source, folder, (length, count) in zip(sources, folders, phases, strict=False):
        if source.manifest.sequence_length != length or count < 1:
            raise UsageError(
                f"a phase is the length of its corpus and a number of steps, as {source.manifest.sequence_length}:1000 "
                f"for {folder}. Received: {length}:{count}"
            )
        if not same_tokenizer(source, sources[0]):
            raise UsageError(
                f"all phases need one vocabulary and one normalization of text; {folder} was made with others than "
                f"{folders[0]}"
            )
    return sources, [count for _, count in phases] or [steps or 0]


def _folders(corpus: files.PathLike | Sequence[files.PathLike]) -> list[files.PathLike]:
    return [corpus] if isinstance(corpus, (str, os.PathLike)) else list(corpus)


def _starting_point(model: str | files.PathLike, vocabulary: Vocabulary) -> tuple[Bundle | None, BertConfig]:
    if str(model) in PRESETS:
        return None, preset_config(str(model), len(vocabulary))
    given, model = model, resolve(model)
    if not is_bundle(model):
        raise UsageError(f"--model must be a preset ({preset_names()}) or a model folder. Received: {given}")
    bundle = Bundle.load(model)
    if not bundle.tokenizer.vocabulary.has_pieces(vocabulary):
        raise BundleError(
            f"the corpus was built with another vocabulary than {given} has; build it with --vocab {given}"
        )
    return bundle, bundle.config
