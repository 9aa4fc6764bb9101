"""The model of a fine-tuning run, with its starting weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kbert.models.tensor_names import TensorBindings, read_tensors
from kbert.training.adapter import TrainedAdapter
from kbert.training.finetuning.plan import FinetuningPlan
from kbert.training.new_weights import assign_starting_weights, tell_new_weights
from kbert.training.optimizers.frozen_layers import freeze_layers, freeze_tables
from kbert.training.run import Run


@dataclasses.dataclass(frozen=True)
class FinetunedModel:
    """The model of a fine-tuning run.

    Args:
        model: The Keras model that the task built.
        bindings: Its variables, by the names of their tensors in Transformers.
        adapter: The adapter that is trained instead of the whole model; None if the whole model is trained.
    """

    model: Any
    bindings: TensorBindings
    adapter: TrainedAdapter | None

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the present weights by name, with the matrices of LoRA if the adapter has them."""
        matrices = {} if self.adapter is None else self.adapter.matrices()
        return {**read_tensors(self.bindings), **matrices}


def build_model(run: Run, plan: FinetuningPlan) -> FinetunedModel:
    """Builds the model of a run with its starting weights, and freezes what the options do not train.

    Args:
        run: The run.
        plan: The plan of the run.

    Raises:
        BundleError: A tensor of the starting model is missing or has another shape.
    """
    task = plan.task
    model = run.build(plan.start.config, task.build, pooled=task.pooled, pooled_only=task.pooled_only)
    bindings = plan.task.bindings(model)
    if plan.start.bundle is not None:
        parts = assign_starting_weights(plan.task, bindings, plan.start.bundle)
        if run.is_chief:
            tell_new_weights(parts)
    adapter = run.add_adapter(model, bindings, plan.start)
    freeze_layers(model.encoder, plan.options.frozen_layers, frozen_encoder=plan.options.frozen_encoder)
    if plan.privacy is not None:
        freeze_tables(model.encoder)
    return FinetunedModel(model, bindings, adapter)
