"""The model card of a fine-tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert.config import BertConfig
from kbert.model_folder.bundle import describe_parameters, model_card
from kbert.models.encoder import BertEncoder
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.training.optimizers.schedules import Schedule


def task_card(
    task: TrainableTask[Any],
    config: BertConfig,
    encoder: BertEncoder,
    metrics: Mapping[str, Any],
    rows: int,
    steps: int,
    step: int,
    schedule: Schedule,
    folder: Path,
    further: Mapping[str, str],
) -> str:
    """Returns the model card, with the task, the training, the metrics and a command that uses the model.

    Args:
        task: The task that the model was fine-tuned for.
        config: The configuration of the encoder.
        encoder: The encoder.
        metrics: The metrics on the validation file.
        rows: The number of training examples.
        steps: The number of steps done, which is smaller than planned after early stopping.
        step: The step of the best weights.
        schedule: The learning-rate schedule.
        folder: The folder of the run.
        further: Further rows of the table of the card.
    """
    parameters = encoder.count_params()
    scores = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float))
    return model_card(
        f"BERT ({describe_parameters(parameters)}), fine-tuned for {task.name} with kbert",
        {
            "Task": task.description,
            "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {parameters:,} parameters",
            "Training": f"{rows:,} rows, {steps:,} steps, learning rate {schedule.peak:g}; "
            f"the weights are of step {step:,}, the best on the validation file",
            "Validation": scores,
            **further,
        },
        f"kbert predict {folder.resolve().name} {task.sample_arguments}",
    )
