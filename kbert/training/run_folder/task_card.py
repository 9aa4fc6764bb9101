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
) -> str:
    """What was learnt, from how much, how well it went, and how to ask.

    Args:
        task: What it was fine-tuned for.
        config: The shape of the encoder.
        encoder: The encoder.
        metrics: On the validation file.
        rows: Training examples.
        steps: Updates that were made; fewer than planned where it was stopped early.
        step: The step of the best weights.
        schedule: Of the learning rate.
        folder: The run.
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
        },
        f"kbert predict {folder.resolve().name} {task.sample_arguments}",
    )
