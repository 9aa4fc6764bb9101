"""Pretraining: a corpus and a model in, a bundle out."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path
from typing import Any

from kbert import files
from kbert.bundle import Bundle, describe_parameters, is_bundle, model_card
from kbert.config import PRESETS, BertConfig, preset_config
from kbert.corpus.pipeline import PretrainingBatches
from kbert.errors import BundleError, UsageError
from kbert.hub import resolve
from kbert.models import tensor_names
from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary
from kbert.training.bfloat16 import prepare_precision
from kbert.training.checkpoints import Checkpoints
from kbert.training.loop import LoopSettings, TrainingLoop, check_batch_size
from kbert.training.monitor import Monitor
from kbert.training.objectives import PretrainingObjective
from kbert.training.optimizers import AdamWSettings
from kbert.training.runs import CHECKPOINT_FOLDER, open_run
from kbert.training.schedules import LinearSchedule
from kbert.training.strategy import make_strategy

ARCHITECTURE = "BertForPreTraining"


def pretrain(
    *,
    corpus: files.PathLike,
    model: str | files.PathLike,
    output: files.PathLike,
    steps: int,
    batch_size: int = 32,
    pack_to: int | None = None,
    vocab: files.PathLike | None = None,
    cased: bool = False,
    skip_corrupt: int = 0,
    learning_rate: float = 1e-4,
    warmup_steps: int | None = None,
    weight_decay: float = 0.01,
    bias_correction: bool = False,
    accumulation: int = 1,
    dropout: float | None = None,
    initializer_range: float | None = None,
    precision: str = "float32",
    strategy: str = "auto",
    log_every: int = 10,
    checkpoint_every: int = 500,
    keep_checkpoints: int = 2,
    seed: int = 0,
    resume: bool = False,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Pretrains a BERT with the masked language model and next sentence prediction.

    Args:
        corpus: A folder that `build_corpus` wrote; its vocabulary becomes the model's. Or a folder, a file or a glob of
            TFRecord files that the original create_pretraining_data.py or the Model Garden wrote.
        model: A preset (fresh weights), or a bundle with the same vocabulary to go on from.
        output: The run's folder, a bundle in the end: config.json, vocab.txt, model.safetensors, metrics.jsonl,
            checkpoints/, tensorboard/.
        steps: Updates of the weights.
        batch_size: Examples a step, over all replicas; with `pack_to`, rows of several examples.
        pack_to: Pack several short examples into each row of so many tokens, none of which sees another.
        vocab: The vocabulary of TFRecord files without a manifest.json.
        cased: Whether these keep case and accents.
        skip_corrupt: How many damaged records may be left out; by default the first stops the run.
        learning_rate: At the end of the warm-up; falls linearly to 0.
        warmup_steps: By default a tenth of `steps`, at most 10,000.
        weight_decay: Of AdamW.
        bias_correction: Correct AdamW's means for their start at 0; the original BERT does not.
        accumulation: Micro-batches a step.
        dropout: Instead of the model's own, everywhere.
        initializer_range: Standard deviation of fresh weights, instead of the model's own 0.02. That is for a width of
            768; narrow models learn sooner from a wider one, such as 0.05 for a width of 128.
        precision: "float32" or "bfloat16", of matrix products.
        strategy: "auto", "one" or "mirrored".
        log_every: Steps a row of metrics.jsonl.
        checkpoint_every: Steps between checkpoints.
        keep_checkpoints: How many of the last are kept.
        seed: Of weights, order, masks and dropout: the same seed gives the same bytes on a CPU.
        resume: Continue the run in `output` from its last checkpoint; start it if there is none.
        show_progress: Show progress on standard error.

    Returns:
        The metrics of the first and of the last row, as "first" and "last".

    Raises:
        UsageError: An option cannot be, or `output` holds another run.
        KbertError: The corpus or the model cannot be read, or training cannot go on.
    """
    batches = PretrainingBatches(
        corpus, batch_size=batch_size, seed=seed, pack_to=pack_to, vocab=vocab, cased=cased, skip_corrupt=skip_corrupt
    )
    tokenizer = Tokenizer(batches.vocabulary, lowercase=batches.manifest.lowercase)
    bundle, config = _starting_point(model, batches.vocabulary)
    if dropout is not None:
        config = config.replace(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    if initializer_range is not None:
        config = config.replace(initializer_range=initializer_range)
    if batches.manifest.sequence_length > config.max_position_embeddings:
        raise UsageError(
            f"the corpus has examples of {batches.manifest.sequence_length} tokens, the model positions for "
            f"{config.max_position_embeddings}; build the corpus with a smaller --sequence-length"
        )
    if warmup_steps is None:
        warmup_steps = min(10_000, steps // 10)
    schedule = LinearSchedule(learning_rate, steps, warmup_steps)
    settings = LoopSettings(steps, accumulation, log_every, checkpoint_every)
    prepare_precision(precision)
    placement = make_strategy(strategy)
    check_batch_size(batch_size, settings, placement)
    folder = Path(output)
    open_run(
        folder,
        {
            "command": "pretrain",
            "corpus": hashlib.sha256(batches.manifest.fingerprint().encode()).hexdigest(),
            "model": str(model),
            "config": config.to_dict(),
            "batch_size": batch_size,
            "pack_to": pack_to,
            "weight_decay": weight_decay,
            "bias_correction": bias_correction,
            "precision": precision,
            "seed": seed,
            **dataclasses.asdict(schedule),
            **dataclasses.asdict(settings),
        },
        resume=resume,
    )

    with placement.scope():
        pretraining_model = PretrainingModel(
            BertEncoder(config, precision=precision, seed=seed, packed=pack_to is not None)
        )
        if bundle is not None:
            tensor_names.assign_pretrained(tensor_names.pretraining_slots(pretraining_model), bundle.tensors)
    loop = TrainingLoop(
        pretraining_model,
        objective=PretrainingObjective(),
        batches=batches,
        schedule=schedule,
        optimizer=AdamWSettings(weight_decay=weight_decay, bias_correction=bias_correction),
        settings=settings,
        strategy=placement,
    )
    monitor = Monitor(folder, steps=steps, title="pretrain", show_progress=show_progress, constants=batches.metrics)
    if show_progress:
        for line in batches.describe():
            print(f"pretrain: {line}", file=sys.stderr, flush=True)
    checkpoints = Checkpoints(folder / CHECKPOINT_FOLDER, keep_checkpoints)
    metrics = loop.run(monitor, checkpoints, resume=resume)
    if show_progress and batches.source.records_lost:
        print(f"pretrain: {batches.source.records_lost:,} damaged records were left out", file=sys.stderr, flush=True)

    parameters = pretraining_model.encoder.count_params()
    card = model_card(
        f"BERT ({describe_parameters(parameters)}), pretrained with kbert",
        {
            "Objective": "masked language model and next sentence prediction",
            "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {parameters:,} parameters",
            "Corpus": batches.description,
            "Training": f"{steps:,} steps of {batch_size} examples, learning rate {learning_rate:g}, {precision}",
            "Loss at the end": f"{metrics['last']['mlm_loss']:.4f} (masked language model), "
            f"{metrics['last']['nsp_loss']:.4f} (next sentence)",
        },
        f"kbert finetune classification --model {folder} --train train.csv --validation dev.csv --output RUN",
    )
    Bundle(
        config=config,
        tokenizer=tokenizer,
        tensors=tensor_names.read_tensors(tensor_names.pretraining_slots(pretraining_model)),
        architecture=ARCHITECTURE,
        settings={"kind": "pretraining", "steps": steps, "metrics": metrics["last"]},
    ).save(folder, card)
    return metrics


def _starting_point(model: str | files.PathLike, vocabulary: Vocabulary) -> tuple[Bundle | None, BertConfig]:
    if str(model) in PRESETS:
        return None, preset_config(str(model), len(vocabulary))
    given, model = model, resolve(model)
    if not is_bundle(model):
        raise UsageError(f"--model must be a preset ({', '.join(PRESETS)}) or a model folder. Received: {given}")
    bundle = Bundle.load(model)
    if bundle.tokenizer.vocabulary != vocabulary:
        raise BundleError(
            f"the corpus was built with another vocabulary than {model} has; build it with --vocab {model}/vocab.txt"
        )
    return bundle, bundle.config
