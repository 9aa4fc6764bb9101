"""Out-of-scope detection: how well a classifier tells texts that belong to none of its classes from the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.errors import UsageError, shown
from kbert.prediction.text_batches import answers_in_batches
from kbert.prediction.text_model import TextModel, signature_function
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.labels import canonical_label
from kbert.tasks.text_task import Example


@dataclasses.dataclass(frozen=True)
class Scope:
    """The examples of a file, some of which belong to none of the classes.

    Args:
        known: The examples whose labels are classes of the model.
        outside: The examples that belong to no class. If the model has a class for them, they are also in `known`.
        label: The label of these examples; None if the model has no class for them.
    """

    known: list[Example]
    outside: list[Example]
    label: str | None

    @classmethod
    def of(cls, task: Any, examples: Sequence[Example], label: str) -> Scope:
        """Splits the examples of a file.

        Args:
            task: The task of the model.
            examples: The examples as they were read.
            label: The label of the examples that belong to no class.

        Raises:
            UsageError: The task is not classification, or all examples or none have the label.
        """
        if not isinstance(task, ClassificationTask):
            raise UsageError(
                f"an out-of-scope label is for classification. Received: a model for {task.name}; leave it out"
            )
        wanted = canonical_label(label.strip())
        outside = [example for example in examples if example.target == wanted]
        inside = [example for example in examples if example.target != wanted]
        if not outside or not inside:
            raise UsageError(
                f"expected examples with and without the out-of-scope label. Received: {len(outside):,} of "
                f"{len(examples):,} examples with the label {shown(label)}"
            )
        own = next((name for name in task.labels if canonical_label(name) == wanted), None)
        return cls(inside if own is None else list(examples), outside, own)

    def scores(
        self,
        text_model: TextModel,
        examples: Sequence[Example],
        answers: Mapping[str, np.ndarray],
        *,
        batch_size: int,
    ) -> dict[str, Any]:
        """Returns the number of out-of-scope examples, and how well the model finds them.

        Args:
            text_model: The model.
            examples: The examples of `known` with valid labels.
            answers: The answers to them.
            batch_size: The number of texts that are processed together.
        """
        from sklearn.metrics import roc_auc_score

        found: dict[str, Any] = {"out_of_scope_examples": len(self.outside)}
        if self.label is not None:
            task: Any = text_model.task
            column = answers["probabilities"][:, task.labels.index(self.label)]
            is_outside = [example.target == self.label for example in examples]
            return found | {"out_of_scope_auroc": float(roc_auc_score(is_outside, column))}
        texts = text_model.task.texts_of(self.outside)
        others = answers_in_batches(text_model.from_text, texts, batch_size)
        is_outside = [False] * len(examples) + [True] * len(self.outside)
        doubt = 1 - np.concatenate([each["probabilities"].max(-1) for each in (answers, others)])
        found["out_of_scope_auroc"] = float(roc_auc_score(is_outside, doubt))
        texts = text_model.task.texts_of([*examples, *self.outside])
        energies = answers_in_batches(energy_function(text_model), texts, batch_size)["energy"]
        found["out_of_scope_auroc_energy"] = float(roc_auc_score(is_outside, energies))
        if "abstained" in others:
            found["out_of_scope_abstained"] = float(others["abstained"].mean())
        return found


def energy_function(text_model: TextModel) -> Any:
    """Returns a tf.function from texts with their prompts to the `energy` of their logits, float32 [B].

    The energy is the negative logarithm of the sum of the exponentials of the logits (arXiv 2010.03759). It is large
    for texts that are unlike those of all classes.
    """

    def energies(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        logits = text_model.outputs(text_model.task.encode(text_model.encode, inputs))["logits"]
        return {"energy": -tf.reduce_logsumexp(logits, -1)}

    return signature_function(energies, text_model.text_specs)
