"""The losses of pretraining: the masked language model, and next sentence prediction on pairs of texts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kbert import features
from kbert.tasks.protocol.objective import Tensors
from kbert.training.loop.cross_entropy import cross_entropy


class PretrainingObjective:
    """The objective of pretraining: the masked language model and next sentence prediction.

    The loss of the masked language model is Σ(w·nll) / (Σw + 1e-5) (google-research/bert, run_pretraining.py).

    Args:
        pairs: Whether examples are pairs of texts with a label. If not, there is no next sentence prediction.
    """

    def __init__(self, pairs: bool = True) -> None:
        self.pairs = pairs
        self.losses: tuple[str, ...] = ("mlm_loss", "nsp_loss") if pairs else ("mlm_loss",)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the sums of the losses and accuracies over masked positions and over examples.

        Args:
            outputs: The outputs of the model.
            batch: The batch. Packed rows hold up to E examples each, [B, E] in all.
        """
        ids = batch[features.MASKED_LM_IDS.name]
        weights = batch[features.MASKED_LM_WEIGHTS.name]
        mlm_logits = outputs["mlm_logits"]
        if len(mlm_logits.shape) == 2:  # a model that skips padding returns the logits of used positions only
            used = weights > 0
            ids, weights = tf.boolean_mask(ids, used), tf.boolean_mask(weights, used)
        mlm_nll, mlm_right = cross_entropy(ids, mlm_logits)
        mlm_loss = tf.reduce_sum(weights * mlm_nll)
        mlm_accuracy = tf.reduce_sum(weights * mlm_right)
        if not self.pairs:
            return {"mlm_loss": mlm_loss, "mlm_accuracy": mlm_accuracy}
        labels = batch[features.NEXT_SENTENCE_LABELS.name]
        examples = _example_weights(batch)
        nsp_nll, nsp_right = cross_entropy(labels, outputs["nsp_logits"])
        return {
            "mlm_loss": mlm_loss,
            "nsp_loss": tf.reduce_sum(examples * nsp_nll),
            "mlm_accuracy": mlm_accuracy,
            "nsp_accuracy": tf.reduce_sum(examples * nsp_right),
        }

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of predictions and the number of examples, by which the sums are divided."""
        predictions = tf.reduce_sum(batch[features.MASKED_LM_WEIGHTS.name]) + 1e-5
        if not self.pairs:
            return {"mlm_loss": predictions, "mlm_accuracy": predictions}
        # If damaged records are skipped, there may be rows without examples.
        examples = tf.maximum(tf.reduce_sum(_example_weights(batch)), 1.0)
        return {
            "mlm_loss": predictions,
            "nsp_loss": examples,
            "mlm_accuracy": predictions,
            "nsp_accuracy": examples,
        }


def _example_weights(batch: Tensors) -> tf.Tensor:
    """Returns 1 for each example and 0 for an unused position of a packed row, float32 of the shape of the labels."""
    weights = batch.get(features.NEXT_SENTENCE_WEIGHTS.name)
    return tf.ones_like(batch[features.NEXT_SENTENCE_LABELS.name], tf.float32) if weights is None else weights
