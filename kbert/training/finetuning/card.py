"""The model card of a fine-tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert.model_folder.card import describe_parameters, model_card
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.training.finetuning.plan import FinetuningPlan


def task_card(
    plan: FinetuningPlan,
    task: TrainableTask[Any],
    metrics: Mapping[str, Any],
    *,
    parameters: int,
    steps: int,
    best_step: int,
) -> str:
    """Returns the model card, with the task, the training, the metrics and a command that uses the model.

    Args:
        plan: The plan of the run.
        task: The task that the model was fine-tuned for, with its final settings.
        metrics: The metrics on the validation file.
        parameters: The number of parameters of the encoder.
        steps: The number of steps done, which is smaller than planned after early stopping.
        best_step: The step of the best weights.
    """
    config = plan.start.config
    scores = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float))
    return model_card(
        f"BERT ({describe_parameters(parameters)}), fine-tuned for {task.name} with kbert",
        {
            "Task": task.description,
            "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {parameters:,} parameters",
            "Training": f"{len(plan.training_examples):,} rows, {steps:,} steps, learning rate {plan.schedule.peak:g}; "
            f"the weights are of step {best_step:,}, the best on the validation data",
            "Validation": scores,
            **({} if plan.privacy is None else plan.privacy.card_rows(steps)),
        },
        f"kbert predict {Path(plan.options.output).resolve().name} {task.sample_arguments}",
    )
