"""The sum of the clipped gradients of the examples of a batch, with one backward pass for all of them.

The gradient of a kernel for one example is Σ xᵀ g over its tokens, where x is the input of the layer and g the gradient
of its output. Its squared norm is Σ (x_s · x_t) (g_s · g_t) over all pairs of tokens s and t of the example, so the
gradient itself need not be computed ("ghost clipping", arXiv 2110.05679). The backward pass computes the g of all
layers. From these follow the norms, and then the clipped sum Σ c xᵀ g, where c is the factor that clips the example of
a token (arXiv 2210.00038). So a batch takes one backward pass, as without privacy.

Dimensions: B examples in a batch, N vectors of a layer, L vectors of the longest example.
"""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import tensorflow as tf

from kbert.errors import TrainingError
from kbert.layers.low_rank import LowRankPart
from kbert.layers.projection import Projection
from kbert.layers.recording import RecordedCall, recorded_calls
from kbert.tasks.protocol.objective import Objective, Tensors
from kbert.training.private.example_tokens import EqualCounts, ExampleTokens, JoinedRow


def clipped_gradients(
    model: Any, objective: Objective, batch: Tensors, counted: tf.Tensor, clip: float
) -> dict[str, tf.Tensor]:
    """Returns the sum of the clipped gradients of the examples of a batch, by the paths of the trained variables.

    The loss of an example is the sum of its losses. It is not divided by numbers of words or of examples, which would
    make its gradient depend on other examples; clipping to a small norm makes a constant factor irrelevant.

    Args:
        model: The model, which is called with `training=True`.
        objective: The objective, whose losses are sums over examples.
        batch: The batch of B examples.
        counted: 1 for each example that counts and 0 for one that fills the batch, float32 [B].
        clip: The norm to which the gradient of an example for all variables together is clipped.

    Raises:
        TrainingError: The model has trained variables whose gradients for single examples are not known.
    """
    variables = model.trainable_variables
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([variable.value for variable in variables])
        with recorded_calls() as recording:
            outputs = model(batch, training=True)
        loss_sums = objective.loss_sums(outputs, batch)
        loss = tf.add_n([loss_sums[name] for name in objective.losses])
    calls = [call for call in recording.calls if call.layer.trainable_variables]
    gradients = tape.gradient(
        loss, [call.outputs for call in calls], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    layers = [_layer_gradients(call, above, counted.shape[0]) for call, above in zip(calls, gradients, strict=True)]
    norms = tf.sqrt(tf.add_n([layer.squared_norms() for layer in layers]))
    factors = counted * (clip / tf.maximum(norms, clip))
    sums = [layer.weighted_sums(factors) for layer in layers]
    _check_complete([variable.path for variable in variables], [path for each in sums for path in each])
    return {path: gradient for each in sums for path, gradient in each.items()}


def _check_complete(trained: Collection[str], summed: Sequence[str]) -> None:
    """Checks that the gradient of each trained variable is clipped, and comes from one call of one layer.

    Raises:
        TrainingError: This is not so, and the sum would not be private.
    """
    missing = [path for path in trained if path not in summed]
    if missing:
        raise TrainingError(
            f"a private run needs the gradient of each example, which kbert does not compute for {', '.join(missing)}; "
            "leave out the option that adds these weights, or train without --private"
        )
    repeated = [path for path, count in Counter(summed).items() if count > 1]
    if repeated:
        raise TrainingError(
            f"a private run needs the gradient of each example, which kbert does not compute for weights that are used "
            f"twice, {', '.join(repeated)}, as in a model with bottleneck adapters; start from a model without them, "
            "to which --adapter can add new ones, or train without --private"
        )


def _layer_gradients(call: RecordedCall, above: tf.Tensor, examples: int) -> _LayerGradients:
    tokens = EqualCounts(examples) if call.row is None else JoinedRow(call.row, examples)
    kind = _ProjectionGradients if isinstance(call.layer, Projection) else _NormGradients
    return kind(call.layer, _rows(call.inputs), _rows(above), tokens)


def _rows(vectors: tf.Tensor) -> tf.Tensor:
    """Maps float32 [..., D] to float32 [N, D]."""
    return tf.reshape(vectors, [-1, vectors.shape[-1]])


class _LayerGradients(abc.ABC):
    """The gradients of the weights of a layer.

    Args:
        layer: The layer.
        inputs: What its weights are multiplied with, float32 [N, width].
        above: The gradient of its output before the activation, float32 [N, units].
        tokens: The examples of the N vectors.
    """

    def __init__(self, layer: Any, inputs: tf.Tensor, above: tf.Tensor, tokens: ExampleTokens) -> None:
        self.layer = layer
        self.inputs = inputs
        self.above = above
        self.tokens = tokens

    @abc.abstractmethod
    def squared_norms(self) -> tf.Tensor:
        """Returns the squared norm of the gradient of each example for all trained weights of the layer, [B]."""

    @abc.abstractmethod
    def weighted_sums(self, factors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the sums of the gradients of the examples times their factors, by the paths of the variables.

        Args:
            factors: The factor of each example, float32 [B].
        """


class _NormGradients(_LayerGradients):
    """The gradients of a LayerNorm, whose inputs are normalized."""

    def squared_norms(self) -> tf.Tensor:
        above = self.tokens.by_example(self.above)
        norms = tf.zeros([])
        if self.layer.gamma.trainable:
            norms += _squares(tf.reduce_sum(above * self.tokens.by_example(self.inputs), 1))
        if self.layer.beta.trainable:
            norms += _squares(tf.reduce_sum(above, 1))
        return norms

    def weighted_sums(self, factors: tf.Tensor) -> dict[str, tf.Tensor]:
        above = self.tokens.scaled(self.above, factors)
        sums = {}
        if self.layer.gamma.trainable:
            sums[self.layer.gamma.path] = tf.reduce_sum(above * self.inputs, 0)
        if self.layer.beta.trainable:
            sums[self.layer.beta.path] = tf.reduce_sum(above, 0)
        return sums


class _ProjectionGradients(_LayerGradients):
    """The gradients of a projection: of its kernel and its bias, or of the matrices of LoRA."""

    def squared_norms(self) -> tf.Tensor:
        layer, tokens = self.layer, self.tokens
        above = tokens.by_example(self.above)
        norms = tf.zeros([])
        if layer.kernel.trainable:
            # A bias is a row of the kernel whose input is 1.
            products = _gram(tokens.by_example(self.inputs)) + (1.0 if layer.bias.trainable else 0.0)
            norms += tf.reduce_sum(products * _gram(above), [1, 2])
        elif layer.bias.trainable:
            norms += _squares(tf.reduce_sum(above, 1))
        for part in layer.low_rank_parts:
            for left, right in self._factors(part, self.above):
                norms += tf.reduce_sum(_gram(tokens.by_example(left)) * _gram(tokens.by_example(right)), [1, 2])
        return norms

    def weighted_sums(self, factors: tf.Tensor) -> dict[str, tf.Tensor]:
        layer = self.layer
        above = self.tokens.scaled(self.above, factors)
        sums = {}
        if layer.kernel.trainable:
            sums[layer.kernel.path] = tf.matmul(self.inputs, above, transpose_a=True)
        if layer.bias.trainable:
            sums[layer.bias.path] = tf.reduce_sum(above, 0)
        for part in layer.low_rank_parts:
            for variable, (left, right) in zip((part.down, part.up), self._factors(part, above), strict=True):
                sums[variable.path] = tf.matmul(left, right, transpose_a=True)
        return sums

    def _factors(self, part: LowRankPart, above: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], ...]:
        """Returns the factors of the gradients of A and of B, each as (left, right); a gradient is leftᵀ right."""
        index, count = part.columns
        scaled = part.scale * tf.split(above, count, axis=-1)[index]
        down, up = part.down.value, part.up.value
        return (self.inputs, tf.matmul(scaled, up, transpose_b=True)), (tf.matmul(self.inputs, down), scaled)


def _gram(vectors: tf.Tensor) -> tf.Tensor:
    """Returns the products of all pairs of vectors of each example: float32 [B, L, D] → [B, L, L]."""
    return tf.matmul(vectors, vectors, transpose_b=True)


def _squares(vectors: tf.Tensor) -> tf.Tensor:
    """Returns the squared norm of each vector: float32 [B, D] → [B]."""
    return tf.reduce_sum(tf.square(vectors), -1)
