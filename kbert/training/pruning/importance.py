"""The importance of the blocks and of the feed-forward neurons of a model, measured on training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.layers.attention import attention_bias
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.training.data.batches import LengthBucketedBatches

_BATCH = 8
"""The number of items in a batch. Absolute values are added over batches, so small batches distinguish items better."""


class ImportanceMeter:
    """Measures how much the loss of a task depends on parts of a model.

    Args:
        model: The model that the task built, with its weights.
        task: The task.
        rows: The training rows.
        limit: The maximum number of items to use; `seed` determines which ones.
        sequence_length: The longest row in tokens.
        pad_id: The id of [PAD].
        seed: Seeds the choice of items.
    """

    def __init__(
        self,
        model: Any,
        task: TrainableTask[Any],
        rows: TrainingRows,
        *,
        limit: int,
        sequence_length: int,
        pad_id: int,
        seed: int,
    ) -> None:
        self._model = model
        self._encoder = model.encoder
        self._task = task
        batches = LengthBucketedBatches(
            rows, batch_size=_BATCH, steps=1, sequence_length=sequence_length, pad_id=pad_id
        )
        items = np.random.default_rng(seed).permutation(len(rows))[:limit]
        items = items[np.argsort(batches.lengths[items], kind="stable")]
        self._batches = [batches.batch(items[start : start + _BATCH]) for start in range(0, len(items), _BATCH)]
        spec = {name: tf.TensorSpec([None, *each.shape[1:]], each.dtype) for name, each in batches.element_spec.items()}
        gates = tf.TensorSpec([len(self._encoder.blocks)], tf.float32)
        self._loss = tf.function(self._batch_loss, input_signature=[spec, gates], autograph=False)
        self._neurons = tf.function(self._batch_neurons, input_signature=[spec, gates], autograph=False)

    @property
    def block_count(self) -> int:
        """The number of blocks of the model."""
        return len(self._encoder.blocks)

    def loss(self, kept: Sequence[int]) -> float:
        """Returns the mean loss of the model if only some blocks are used.

        Args:
            kept: The indices of the blocks.
        """
        gates = self._gates(kept)
        return float(np.mean([self._loss(batch, gates).numpy() for batch in self._batches]))

    def blocks_to_keep(self, count: int) -> list[int]:
        """Returns the indices of the blocks to keep, in order.

        The block without which the loss is lowest is left out, one after the other.

        Args:
            count: The number of blocks to keep.
        """
        kept = list(range(self.block_count))
        while len(kept) > count:
            losses = {index: self.loss([each for each in kept if each != index]) for index in kept}
            kept.remove(min(losses, key=lambda index: losses[index]))
        return kept

    def neurons(self, kept: Sequence[int]) -> dict[int, np.ndarray]:
        """Returns the importance of the neurons of each block that is kept, float32 [I].

        It is the first-order estimate of how much the loss changes without the neuron (arXiv 1905.10650, 1611.06440):
        the absolute value of its activation times its gradient, summed over the tokens of a batch.

        Args:
            kept: The indices of the blocks that are used.
        """
        gates = self._gates(kept)
        totals = np.zeros((self.block_count, self._encoder.config.intermediate_size), np.float64)
        for batch in self._batches:
            totals += self._neurons(batch, gates).numpy()
        return {index: (totals[index] / len(self._batches)).astype(np.float32) for index in kept}

    def _gates(self, kept: Sequence[int]) -> tf.Tensor:
        return tf.constant([1.0 if index in set(kept) else 0.0 for index in range(self.block_count)])

    def _batch_loss(self, batch: dict[str, tf.Tensor], gates: tf.Tensor) -> tf.Tensor:
        encoder = self._encoder
        inputs = self._model.encoder_inputs(batch)
        hidden = encoder.embeddings(inputs[features.INPUT_WORD_IDS.name], inputs[features.INPUT_TYPE_IDS.name], None)
        bias = attention_bias(inputs[features.INPUT_MASK.name])
        for index, block in enumerate(encoder.blocks):
            hidden = gates[index] * block(hidden, bias, training=False) + (1.0 - gates[index]) * hidden
        encoded = {"sequence_output": hidden}
        if encoder.pooler is not None:
            encoded["pooled_output"] = encoder.pooler(hidden, None)
        sums = self._task.loss_sums(self._model.heads(encoded, batch, False), batch)
        weights = self._task.loss_weights(batch)
        return tf.add_n([sums[name] / tf.maximum(weights[name], 1e-12) for name in self._task.losses])

    def _batch_neurons(self, batch: dict[str, tf.Tensor], gates: tf.Tensor) -> tf.Tensor:
        """Returns the importance of all neurons in a batch, float32 [L, I].

        The activation of a neuron times its gradient, summed over tokens, is the product of its outgoing weights with
        their gradients, summed over the outputs.
        """
        kernels = [block.output_projection.kernel.value for block in self._encoder.blocks]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(kernels)
            loss = self._batch_loss(batch, gates)
        gradients = tape.gradient(loss, kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.abs(tf.stack([tf.reduce_sum(k * g, -1) for k, g in zip(kernels, gradients, strict=True)]))
