"""Pretraining, which reads a corpus and a model or a preset, and writes a model folder."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.config import BertConfig, preset_config
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.errors import BundleError, UsageError
from kbert.model_folder.adapters.folder import ADAPTER_FOLDER
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.card import describe_parameters, model_card
from kbert.models import tensor_names
from kbert.models.encoder import BertEncoder
from kbert.models.positional_heads import make_heads_positional
from kbert.models.pretraining import PretrainingModel
from kbert.options import option_error, option_infos, with_options
from kbert.training.adapter import TrainedAdapter, check_adapter_start
from kbert.training.corpus_tokenizer import check_corpus, same_tokenizer
from kbert.training.devices.jit import use_jit
from kbert.training.evaluation import PretrainingEvaluation, ValidationCorpus
from kbert.training.loop.inputs import Phase
from kbert.training.loop.objectives import PretrainingObjective
from kbert.training.loop.settings import LoopSettings
from kbert.training.monitoring.observers import Observer, Periodic
from kbert.training.monitoring.samples import SAMPLES, Samples
from kbert.training.new_weights import new_parts, tell_new_weights
from kbert.training.optimizers.schedules import Schedule
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.options import PretrainOptions
from kbert.training.run import Run
from kbert.training.run_folder.provenance import license_settings, write_run_provenance
from kbert.training.run_folder.runs import RunRecord, earlier_record
from kbert.training.starting_point import StartingPoint, load_start

ARCHITECTURE = "BertForPreTraining"
_PAIR_OBJECTIVES = {"nsp": "next sentence prediction", "sop": "sentence order prediction"}
_ADVICE = (
    "lower the learning rate or lengthen the warm-up, or skip these batches with --on-spike rewind, which goes back to "
    "the last checkpoint"
)
"""The advice for a loss that jumps or is not finite."""


@with_options(PretrainOptions)
def pretrain(*, options: PretrainOptions) -> dict[str, Any]:
    """Pretrains a BERT with the masked language model and next sentence prediction.

    When training ends, the folder of the run is a model folder: config.json, vocab.txt, model.safetensors,
    metrics.jsonl, checkpoints/, tensorboard/.

    Args:
        options: All options in one object. Keywords that are given as well replace its values.

    Returns:
        The first and the last row of metrics, as "first" and "last". Workers other than the chief return an empty
        dictionary.

    Raises:
        UsageError: An option is invalid, or `output` already holds a different run.
        KbertError: The corpus or the model is invalid, or training fails.

    Example:
        >>> metrics = kbert.pretrain(corpus="corpus", model="tiny", output="run", steps=2, batch_size=8)
        >>> sorted(metrics)
        ['first', 'last']
    """
    run = Run("pretrain", options)  # workers must join before TensorFlow computes, so before corpora are read
    corpora = _read_corpora(options)
    start = _starting_point(options, corpora)
    plan = _plan(options, corpora, start)
    run.check_batch_size(plan.settings)
    _claim(run, options, plan)
    model = run.build(
        start.config,
        lambda encoder: _model(encoder, options),
        jit=plan.settings.jit,
        packed=options.pack_to is not None,
    )
    bindings = tensor_names.pretraining_bindings(model)
    if start.bundle is not None:
        tensor_names.assign_pretrained(bindings, start.bundle.tensors)
        if run.is_chief:
            tell_new_weights(new_parts(bindings, start.bundle.tensors))
    adapter = run.add_adapter(model, bindings, start)
    loop = run.make_loop(
        model,
        start.config,
        objective=PretrainingObjective(plan.pairs),
        phases=[Phase(steps, source) for steps, source in zip(plan.phase_steps, corpora, strict=True)],
        schedule=plan.schedule,
        optimizer=plan.optimizer,
        settings=plan.settings,
        trained_only=adapter is not None,
    )
    if options.show_progress:
        run.tell(*(f"pretrain: {line}" for source in corpora for line in source.describe()))
    metrics = run.train(
        loop,
        model,
        evaluate=None if plan.validation is None else _evaluation(model, plan.validation, options.batch_size),
        evaluate_every=plan.evaluate_every,
        observers=_samples(run, options, plan, model),
        constants=corpora[0].metrics,
        keep_checkpoints=options.keep_checkpoints,
    )
    if run.is_chief:
        _finish(run, options, plan, model, metrics, adapter)
        return metrics
    return {}


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The plan of a run.

    Args:
        corpora: The corpus of each phase.
        phase_steps: The number of steps of each phase.
        start: The model or the preset that the run starts from.
        validation: The validation corpus; None if there is none.
        evaluate_every: The number of steps between evaluations; 0 if there is no validation corpus.
        schedule: The learning-rate schedule.
        optimizer: The settings of the optimizer.
        settings: The settings of the training loop.
    """

    corpora: list[PretrainingBatches]
    phase_steps: list[int]
    start: StartingPoint
    validation: ValidationCorpus | None
    evaluate_every: int
    schedule: Schedule
    optimizer: OptimizerSettings
    settings: LoopSettings

    @property
    def pairs(self) -> bool:
        """Whether the corpora contain pairs of texts with a label."""
        return any(source.labelled for source in self.corpora)


def _plan(options: PretrainOptions, corpora: list[PretrainingBatches], start: StartingPoint) -> _Plan:
    """Returns the plan of the run, with defaults for the options that were not given."""
    config = start.config
    longest = max(source.manifest.sequence_length for source in corpora)
    if longest > config.max_position_embeddings:
        raise UsageError(
            f"the corpus has examples of {longest} tokens, but the model has only "
            f"{config.max_position_embeddings} positions; build the corpus with a smaller length: "
            "`kbert corpus build --sequence-length`"
        )
    validation = None
    if options.validation_corpus is not None:
        model = options.model if start.bundle is not None else _folders(options)[0]
        validation = ValidationCorpus(options.validation_corpus, start.tokenizer, model=str(model))
        validation.check_length(config.max_position_embeddings)
    steps = options.total_steps
    bias_correction = options.bias_correction
    if bias_correction is None:
        bias_correction = options.optimizer in ("lamb", "muon")
    return _Plan(
        corpora,
        [count for _, count in options.phases] or [steps],
        start,
        validation,
        0 if validation is None else options.evaluate_every or options.checkpoint_every,
        Schedule.from_options(options, peak=options.learning_rate, steps=steps, warmup_steps=_warmup_steps(options)),
        OptimizerSettings.from_options(options, bias_correction=bias_correction),
        LoopSettings.from_options(
            options,
            steps=steps,
            on_spike=options.on_spike,
            spike_threshold=options.spike_threshold,
            jit=use_jit(options.jit),
            advice=_ADVICE,
        ),
    )


def _warmup_steps(options: PretrainOptions) -> int:
    """Returns the number of warm-up steps; a run that is continued, perhaps with more steps, keeps its number.

    Raises:
        OptionError: The run has more steps than before, and its schedule does not allow that.
    """
    steps = options.total_steps
    earlier = earlier_record(Path(options.output), resume=options.resume)
    before = earlier.value("steps") if earlier is not None and earlier.command == "pretrain" else None
    if earlier is not None and before is not None and steps > before and options.schedule != "constant":
        raise option_error(
            lambda spell: (
                f"{options.output} was started with {spell('steps', before)}, at the end of which its "
                f"{options.schedule} schedule is at a learning rate of 0. Received: {spell('steps', steps)}; to train "
                f"longer, start another run from the finished one with {spell('model', str(options.output))} and "
                f"another {spell('output')} (only {spell('schedule', 'constant')} can go on)"
            ),
            option_infos(PretrainOptions),
        )
    if options.warmup_steps is not None:
        return options.warmup_steps
    if earlier is not None and earlier.value("warmup_steps") is not None:
        return min(steps, int(earlier.value("warmup_steps")))
    return min(10_000, steps // 10)


def _claim(run: Run, options: PretrainOptions, plan: _Plan) -> None:
    """Claims the folder of the run.

    A run with a constant schedule may be continued with more steps: its steps so far do not depend on their total
    number.
    """
    fingerprints = "".join(source.manifest.fingerprint() for source in plan.corpora)
    record = RunRecord(
        run.command,
        options=options.remembered() | {"jit": "on" if plan.settings.jit else "off"},
        defaults={
            "warmup_steps": plan.schedule.warmup_steps,
            "bias_correction": plan.optimizer.bias_correction,
            "evaluate_every": plan.evaluate_every,
        },
        contents={
            "corpus": _sha256(fingerprints),
            "model": plan.start.digest(),
            "validation_corpus": None if plan.validation is None else _sha256(plan.validation.fingerprint()),
        },
        derived={
            "steps": plan.settings.steps,
            "config": plan.start.config.to_dict(),
            "optimizer": dataclasses.asdict(plan.optimizer),
            "schedule": dataclasses.asdict(plan.schedule),
        },
    )
    run.claim(record, longer=options.schedule == "constant" and not options.phases)


def _model(encoder: BertEncoder, options: PretrainOptions) -> PretrainingModel:
    if options.initialization == "positional":
        make_heads_positional(encoder)
    return PretrainingModel(encoder)


def _evaluation(
    model: PretrainingModel, validation: ValidationCorpus, batch_size: int
) -> Callable[[int], dict[str, float]]:
    """Returns a function that evaluates the model on the validation corpus."""
    evaluation = PretrainingEvaluation(model, validation, batch_size)
    return lambda step: {f"validation_{name}": value for name, value in evaluation().items()}


def _samples(run: Run, options: PretrainOptions, plan: _Plan, model: PretrainingModel) -> list[Observer]:
    """Returns an observer that writes texts with filled-in masks, if the options request samples."""
    if options.samples_every is None:
        return []
    batches = plan.corpora[0].batches() if plan.validation is None else plan.validation.batches(SAMPLES)
    samples = Samples(model, next(batches), plan.start.tokenizer.vocabulary, run.folder)
    return [Periodic(options.samples_every, samples, at_start=True)]


def _finish(
    run: Run,
    options: PretrainOptions,
    plan: _Plan,
    model: PretrainingModel,
    metrics: dict[str, Any],
    adapter: TrainedAdapter | None,
) -> None:
    """Writes the model folder when training has ended."""
    lost = sum(source.source.records_lost for source in plan.corpora)
    if options.show_progress and lost:
        run.tell(f"pretrain: {lost:,} damaged records were skipped")
    run.write_projector(model.encoder, plan.start.tokenizer.vocabulary)
    bundle = Bundle(
        config=plan.start.config,
        tokenizer=plan.start.tokenizer,
        tensors=tensor_names.read_tensors(tensor_names.pretraining_bindings(model)),
        architecture=ARCHITECTURE,
        settings={"kind": "pretraining", "steps": plan.settings.steps, "metrics": metrics["last"]}
        | license_settings(options),
    )
    if adapter is not None:
        adapter.save(run.folder / ADAPTER_FOLDER, bundle, adapter.matrices())
    bundle.save(run.folder, _card(options, plan, model.encoder.count_params(), metrics["last"]))
    write_run_provenance(run.folder, run.command, options)


def _card(options: PretrainOptions, plan: _Plan, parameters: int, metrics: dict[str, Any]) -> str:
    """Returns the model card, with the objective, the corpus, the training and the final loss."""
    config = plan.start.config
    others = sorted({_PAIR_OBJECTIVES[each.manifest.objective] for each in plan.corpora if each.labelled})
    return model_card(
        f"BERT ({describe_parameters(parameters)}), pretrained with kbert",
        {
            "Objective": " and ".join(("masked language model", *others)),
            "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {parameters:,} parameters",
            "Corpus": "; then ".join(source.description for source in plan.corpora),
            "Training": f"{plan.settings.steps:,} steps of {options.batch_size} examples, "
            f"learning rate {options.learning_rate:g}, {options.precision}",
            "Loss at the end": f"{metrics['mlm_loss']:.4f} (masked language model)"
            + (f", {metrics['nsp_loss']:.4f} (pairs of texts)" if plan.pairs else ""),
        },
        f"kbert finetune classification --model {Path(options.output)} --train train.csv --validation dev.csv "
        "--output RUN",
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# === Corpora and the model to start from ===


def _read_corpora(options: PretrainOptions) -> list[PretrainingBatches]:
    """Opens the corpus of each phase, and checks that the corpora fit the phases and each other.

    Raises:
        UsageError: A corpus is missing, has another sequence length than its phase, or another vocabulary.
    """
    folders, phases = _folders(options), options.phases
    if len(folders) != max(1, len(phases)):
        raise UsageError(f"each phase needs a --corpus. Received: {len(phases) or 1} phases, {len(folders)} corpora")
    corpora = [
        PretrainingBatches(
            folder,
            batch_size=options.batch_size,
            seed=options.seed,
            pack_to=options.pack_to,
            vocab=options.vocab,
            cased=options.cased,
            skip_corrupt=options.skip_corrupt,
        )
        for folder in folders
    ]
    for source, folder, (length, count) in zip(corpora, folders, phases, strict=False):
        if source.manifest.sequence_length != length or count < 1:
            raise UsageError(
                "a phase must be the sequence length of its corpus and a number of steps, such as "
                f"{source.manifest.sequence_length}:1000 for {folder}. Received: {length}:{count}"
            )
        if not same_tokenizer(source, corpora[0]):
            raise UsageError(
                "all corpora must have the same vocabulary and the same text normalization. Received: different ones "
                f"in {folder} and {folders[0]}"
            )
    return corpora


def _folders(options: PretrainOptions) -> list[files.PathLike]:
    """Returns the corpora as a list, as they were given in the options."""
    return [options.corpus] if isinstance(options.corpus, (str, os.PathLike)) else list(options.corpus)


def _starting_point(options: PretrainOptions, corpora: Sequence[PretrainingBatches]) -> StartingPoint:
    """Loads the model to start from, and checks that it has the vocabulary and the text settings of the corpora.

    Raises:
        BundleError: The model has another vocabulary than the corpora.
        UsageError: The model is invalid for the options.
    """
    vocabulary, model = corpora[0].vocabulary, options.model
    bundle = load_start(model)
    if options.adapter is not None:
        check_adapter_start(model, bundle)
    if bundle is None:
        config: BertConfig = preset_config(str(model), len(vocabulary))
        return StartingPoint(model, config, corpora[0].tokenizer, None).with_settings(options)
    if not bundle.tokenizer.vocabulary.has_pieces(vocabulary):
        raise BundleError(
            f"the corpus must have the vocabulary of {model}. Received: another vocabulary; build it with "
            f"`kbert corpus build --vocab {model}`"
        )
    for source, folder in zip(corpora, _folders(options), strict=True):
        check_corpus(source, bundle.tokenizer, corpus=folder, model=str(model))
    if options.initialization != "random":
        raise UsageError(f"{model} has weights of its own; leave --initialization out, which is for presets")
    return StartingPoint(model, bundle.config, bundle.tokenizer, bundle).with_settings(options)
