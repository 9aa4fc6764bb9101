"""Calibrates a model folder on labelled examples, after fine-tuning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.files import PathLike
from kbert.model_folder.adapters.folder import ADAPTER_FOLDER, is_adapter, read_adapter, save_adapter
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.card import model_card
from kbert.model_folder.file_names import CARD_FILE
from kbert.model_folder.hub import is_hub_name, resolve
from kbert.options import option_error, with_options
from kbert.prediction.loading import predictor_of
from kbert.tasks.calibrated_task import calibrated_task
from kbert.tasks.factories import task_from_bundle
from kbert.tasks.metrics.worst_examples import WORST_EXAMPLES
from kbert.training.calibration import Calibration, calibrated
from kbert.training.options import CalibrateOptions


@with_options(CalibrateOptions)
def calibrate(model: PathLike, *, options: CalibrateOptions, **reading: Any) -> dict[str, Any]:
    """Calibrates the probabilities of a fine-tuned model, and chooses when it abstains.

    The logits are divided by the temperature that gives the labels of the validation examples the largest
    probability. The weights of the classifier are divided by it, so every program that opens the model has the
    calibrated probabilities. Answers do not change.

    Args:
        model: A model folder for classification, multilabel classification or multiple choice; with `output` also
            hf://owner/name, or the folder of an adapter.
        options: All of these options in one object.
        reading: The columns of a table, as `text_column` and so on, and the options of the task that describe the
            file, such as `delimiter`. The defaults are those used in fine-tuning.

    Returns:
        The "temperature" of this calibration and the metrics of the calibrated model on the validation examples. Among
        them are "calibration_error", and "calibration_error_before", that of the model as trained.

    Raises:
        UsageError: The model has no probabilities to calibrate, cannot be replaced, or `output` exists.
        DataError: The file is unreadable, contains a label that did not occur in training, or no threshold reaches the
            target risk.
        BundleError: The model folder is damaged.

    Example:
        >>> rows = [{"text": "the cat sat", "label": "fine"}, {"text": "a dog ran", "label": "bad"}]
        >>> metrics = kbert.calibrate("RUN", validation=rows, output="calibrated")
        >>> kbert.load("calibrated").task.temperature == metrics["temperature"]
        True
    """
    if options.output is not None:
        files.check_new_folder(options.output)
    folder = resolve(model)
    bundle = Bundle.load(folder)
    target = _target(model, bundle) if options.output is None else Path(options.output)
    task = calibrated_task(task_from_bundle(bundle, model), "calibration")
    predictor = predictor_of(bundle, task, model)
    examples, _ = predictor.labelled_examples(options.validation, skip_bad=options.skip_bad, **reading)
    found = calibrated(predictor, bundle.tensors, examples, options, batch_size=options.batch_size)
    settings = _settings(bundle, found, predictor.sequence_length)
    card = folder / CARD_FILE
    dataclasses.replace(bundle, tensors=found.tensors, settings=settings).save(
        target, card.read_text(encoding="utf-8") if card.is_file() else _card(found, target)
    )
    adapter = target / ADAPTER_FOLDER
    if is_adapter(adapter):
        _calibrate_adapter(adapter, bundle.architecture, found, settings)
    return {"temperature": found.task.temperature / task.temperature, **found.metrics}


def _target(model: PathLike, bundle: Bundle) -> Path:
    """Returns the folder of the model, if its weights can be replaced.

    Raises:
        OptionError: The model must stay as it is.
    """
    if is_hub_name(model) or is_adapter(model):
        kind = "an adapter, whose base model stays as it is" if is_adapter(model) else "a model of the hub"
        raise option_error(
            lambda spell: f"give {spell('output')}, a folder for the calibrated model. Received: {model}, {kind}"
        )
    if bundle.settings.get("kind") != "task":
        raise option_error(
            lambda spell: (
                f"give {spell('output')}, a folder for the calibrated model. Received: {model}, a model of another "
                "library, which stays as it is"
            )
        )
    return Path(model)


def _settings(bundle: Bundle, found: Calibration, sequence_length: int) -> dict[str, Any]:
    """Returns the content of kbert.json. The user's texts must not become part of it."""
    metrics = {name: value for name, value in found.metrics.items() if name != WORST_EXAMPLES}
    before = bundle.settings.get("metrics")
    return {
        **bundle.settings,
        "kind": "task",
        "task": found.task.settings(),
        "sequence_length": sequence_length,
        "metrics": {**(before if isinstance(before, Mapping) else {}), **metrics},
    }


def _card(found: Calibration, target: Path) -> str:
    return model_card(
        f"BERT for {found.task.name}, calibrated with kbert",
        {"Task": found.task.description},
        f"kbert predict {target.resolve().name} {found.task.sample_arguments}",
    )


def _calibrate_adapter(folder: Path, architecture: str, found: Calibration, settings: Mapping[str, Any]) -> None:
    """Replaces the classifier and the task in the folder of the adapter that a run wrote beside its whole model."""
    adapter = read_adapter(folder)
    tensors: dict[str, np.ndarray] = {
        name: found.tensors[name] if name in found.task.calibrated_tensors else tensor
        for name, tensor in adapter.tensors.items()
    }
    # The adapter also has settings of its own, such as the digest of its base model.
    adapter = dataclasses.replace(adapter, tensors=tensors, settings={**adapter.settings, **settings})
    save_adapter(folder, adapter, architecture=architecture)
