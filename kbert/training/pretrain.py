"""Pretraining, which reads a corpus and a model or a preset, and writes a model folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kbert.models.encoder import BertEncoder
from kbert.models.positional_heads import make_heads_positional
from kbert.models.pretraining import PretrainingModel
from kbert.models.tensor_names import assign_pretrained, pretraining_bindings
from kbert.options import with_options
from kbert.training.evaluation import PretrainingEvaluation, ValidationCorpus
from kbert.training.loop.inputs import Phase
from kbert.training.loop.objectives import PretrainingObjective
from kbert.training.monitoring.observers import Observer, Periodic
from kbert.training.monitoring.samples import SAMPLES, Samples
from kbert.training.new_weights import new_parts, tell_new_weights
from kbert.training.options import PretrainOptions
from kbert.training.pretraining.corpora import pretraining_start, read_corpora
from kbert.training.pretraining.plan import PretrainingPlan, plan_pretraining
from kbert.training.pretraining.result import write_result
from kbert.training.run import Run


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
    corpora = read_corpora(options)
    start = pretraining_start(options, corpora)
    plan = plan_pretraining(options, corpora, start)
    run.check_batch_size(plan.settings)
    # A run with a constant schedule may be continued with more steps: its steps so far do not depend on their number.
    run.claim(plan.record(run.command), longer=options.schedule == "constant" and not options.phases)
    model = run.build(
        start.config,
        lambda encoder: _model(encoder, options),
        jit=plan.settings.jit,
        packed=options.pack_to is not None,
    )
    bindings = pretraining_bindings(model)
    if start.bundle is not None:
        assign_pretrained(bindings, start.bundle.tensors)
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
        observers=_samples(run, plan, model),
        constants=corpora[0].metrics,
        keep_checkpoints=options.keep_checkpoints,
    )
    if run.is_chief:
        write_result(run, plan, model, metrics, adapter)
        return metrics
    return {}


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


def _samples(run: Run, plan: PretrainingPlan, model: PretrainingModel) -> list[Observer]:
    """Returns an observer that writes texts with filled-in masks, if the options request samples."""
    if plan.options.samples_every is None:
        return []
    batches = plan.corpora[0].batches() if plan.validation is None else plan.validation.batches(SAMPLES)
    samples = Samples(model, next(batches), plan.start.tokenizer.vocabulary, run.folder)
    return [Periodic(plan.options.samples_every, samples, at_start=True)]
