"""The model folder that a fine-tuning run writes when training has ended."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert import files
from kbert.model_folder.adapters.folder import ADAPTER_FOLDER
from kbert.model_folder.bundle import QUANTIZE_AWARE, Bundle
from kbert.models.tensor_names import assign_tensors, read_tensors
from kbert.prediction.predictor import Predictor
from kbert.tasks.factories import trainable_task_class
from kbert.tasks.metrics.worst_examples import WORST_EXAMPLES
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.readers.remembered import Reading
from kbert.training.calibration import calibrated
from kbert.training.finetuning.card import task_card
from kbert.training.finetuning.model import FinetunedModel
from kbert.training.finetuning.plan import FinetuningPlan
from kbert.training.quantize_aware import store_rounded_weights
from kbert.training.run import Run
from kbert.training.run_folder.best_weights import StoredWeights
from kbert.training.run_folder.provenance import license_settings, write_run_provenance
from kbert.training.run_folder.runs import WORST_EXAMPLES_FILE
from kbert.training.trivial_results import BASELINE, baseline_of, warn_of_trivial_result

_LOG = logging.getLogger("kbert")


@dataclasses.dataclass(frozen=True)
class _Result:
    """The result of a run.

    Args:
        task: The task, with the thresholds and the temperature that were chosen on the validation examples.
        settings: The settings of the task.
        weights: The weights by name, with the matrices of LoRA.
        metrics: The metrics on the validation examples.
    """

    task: TrainableTask[Any]
    settings: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    metrics: dict[str, Any]


def write_result(
    run: Run,
    plan: FinetuningPlan,
    finetuned: FinetunedModel,
    best: StoredWeights,
    reading: Reading,
    *,
    steps: int,
) -> dict[str, Any]:
    """Writes the model folder with the best weights, and returns their metrics.

    Args:
        run: The run.
        plan: The plan of the run.
        finetuned: The model, whose weights are replaced by the best ones.
        best: The best weights.
        reading: How the training file was read.
        steps: The number of steps done, which is smaller than planned after early stopping.
    """
    baseline = _baseline(plan)
    warn_of_trivial_result(plan.task, baseline.get(BASELINE), best.metrics, private=plan.privacy is not None)
    result = _calibrated(plan, finetuned, _restored(plan, finetuned, best))
    run.write_projector(finetuned.model.encoder, plan.start.tokenizer.vocabulary)
    _write_worst_examples(run, plan, result.metrics)
    bundle = Bundle(
        config=plan.start.config,
        tokenizer=plan.start.tokenizer,
        tensors=read_tensors(finetuned.bindings),
        architecture=result.task.architecture,
        settings={
            "kind": "task",
            "task": result.settings,
            "reading": reading.settings(),
            "sequence_length": plan.sequence_length,
            # The user's texts must not become part of the model folder.
            "metrics": {name: value for name, value in result.metrics.items() if name != WORST_EXAMPLES},
            "main_metric": plan.task.main_metric,
            **baseline,
            **({} if plan.options.quantize_aware is None else {QUANTIZE_AWARE: plan.options.quantize_aware}),
            **({} if plan.privacy is None else {"privacy": plan.privacy.settings(steps)}),
            **license_settings(plan.options),
        },
        foreign_config=result.task.foreign_config(),
        modules=result.task.sentence_modules(plan.sequence_length),
    )
    if finetuned.adapter is not None:
        finetuned.adapter.save(run.folder / ADAPTER_FOLDER, bundle, result.weights)
    parameters = finetuned.model.encoder.count_params()
    card = task_card(plan, result.task, result.metrics, parameters=parameters, steps=steps, best_step=best.step)
    bundle.save(run.folder, card)
    write_run_provenance(run.folder, run.command, plan.options)
    return result.metrics


def _baseline(plan: FinetuningPlan) -> dict[str, dict[str, Any]]:
    """Returns the main metric of a constant answer; see `baseline_of`."""
    examples = plan.examples
    if plan.privacy is not None:  # the constant answer must not be a statistic of the training rows
        examples = dataclasses.replace(examples, train=examples.validation)
    return baseline_of(plan.task, examples)


def _restored(plan: FinetuningPlan, finetuned: FinetunedModel, best: StoredWeights) -> _Result:
    """Gives the model the best weights, which quantization-aware training rounds."""
    task, weights = trainable_task_class(plan.task.name).from_settings(best.task), best.tensors
    assign_tensors(finetuned.bindings, weights)
    if plan.options.quantize_aware is not None:
        # The metrics are those of the rounded weights.
        store_rounded_weights(finetuned.model)
        weights = {**weights, **read_tensors(finetuned.bindings)}
    return _Result(task, best.task, weights, best.metrics)


def _calibrated(plan: FinetuningPlan, finetuned: FinetunedModel, result: _Result) -> _Result:
    """Calibrates the model on the validation examples, if the options request it, and returns the result."""
    options = plan.options
    if not options.calibrate and options.abstain_below is None and options.target_risk is None:
        return result
    predictor = Predictor(result.task, finetuned.model, plan.start.tokenizer, plan.sequence_length, plan.encode)
    found = calibrated(predictor, result.weights, plan.examples.validation, options, temperature=options.calibrate)
    if options.calibrate:
        _LOG.info(
            "calibrated with the temperature %.3f: the calibration error on the validation examples is %.4f, and was "
            "%.4f",
            found.task.temperature,
            found.metrics["calibration_error"],
            found.metrics.get("calibration_error_before", found.metrics["calibration_error"]),
        )
    return _Result(found.task, found.task.settings(), found.tensors, {**result.metrics, **found.metrics})


def _write_worst_examples(run: Run, plan: FinetuningPlan, metrics: Mapping[str, Any]) -> None:
    """Writes the validation examples with the worst answers into a file of their own; not in a private run."""
    if WORST_EXAMPLES in metrics and plan.privacy is None:
        files.write_json(run.folder / WORST_EXAMPLES_FILE, {WORST_EXAMPLES: metrics[WORST_EXAMPLES]})
