"""The optimizers: AdamW as in the BERT paper, LAMB, Muon and SGD."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kbert.errors import UsageError
from kbert.optimizers.variable_rules import BLOCK_KERNEL, NOT_DECAYED, QKV, layer_rates
from kbert.options import check_option
from kbert.training.optimizers.newton_schulz import orthogonalized
from kbert.training.options import TrainingOptions


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """The settings of an optimizer (defaults from google-research/bert, optimization.py).

    Args:
        name: The name of the optimizer: "adamw", "lamb" (arXiv 1904.00962), "muon" or "sgd".
        beta_1: The decay of the moving average of the gradients.
        beta_2: The decay of the moving average of the squared gradients.
        epsilon: The constant that is added to the square root of the averaged squares, after any bias correction.
        weight_decay: The weight decay, which is multiplied by the learning rate. Biases and LayerNorm parameters are
            not decayed.
        bias_correction: Whether the moving averages are corrected for their initial value of 0, as in Adam. The
            original BERT does not correct them.
        clip_norm: The global norm to which larger gradients are scaled down.
        layer_decay: The ratio of a block's learning rate to that of the block above it. The embeddings count as the
            layer below the first block.
        head_rate: The factor by which the learning rate of the pooler and the task's head is multiplied.

    Raises:
        UsageError: There is no optimizer of that name, or a value is invalid.
    """

    name: str = "adamw"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    bias_correction: bool = False
    clip_norm: float = 1.0
    layer_decay: float = 1.0
    head_rate: float = 1.0

    def __post_init__(self) -> None:
        check_option(TrainingOptions, "optimizer", self.name)
        check_option(TrainingOptions, "layer_decay", self.layer_decay)
        check_option(TrainingOptions, "weight_decay", self.weight_decay)
        if not 0 < self.head_rate < math.inf:
            raise UsageError(f"head_rate must be above 0. Received: head_rate={self.head_rate}")

    @classmethod
    def from_options(
        cls, options: TrainingOptions, *, bias_correction: bool, head_rate: float = 1.0
    ) -> OptimizerSettings:
        """Returns the settings of the optimizer that the options of a run request.

        Args:
            options: The options of the run.
            bias_correction: Whether the moving averages are corrected for their initial value of 0.
            head_rate: The factor by which the learning rate of the pooler and the task's head is multiplied.
        """
        return cls(
            options.optimizer,
            weight_decay=options.weight_decay,
            layer_decay=options.layer_decay,
            bias_correction=bias_correction,
            head_rate=head_rate,
        )


@dataclasses.dataclass(frozen=True)
class TrainedVariable:
    """A variable to train, with the state of the optimizer for it.

    Args:
        variable: The `tf.Variable`.
        path: The path of the Keras variable.
        decay: The weight decay, which is multiplied by the learning rate; 0 for biases and LayerNorm parameters.
        rate: The factor by which the learning rate is multiplied.
        slots: The optimizer's variables by name, each of the same shape as the variable.
    """

    variable: Any
    path: str
    decay: float
    rate: float
    slots: dict[str, Any]

    @property
    def is_kernel(self) -> bool:
        """Whether the variable is a matrix or an embedding table, rather than a bias or a LayerNorm parameter."""
        return not self.path.endswith(NOT_DECAYED)


class Optimizer(abc.ABC):
    """Base class of the optimizers, which update variables in place.

    Create an optimizer in the scope of the strategy. Call it in replica context with gradients that are already summed
    over replicas, since clipping needs the whole gradient.

    Args:
        variables: The `keras.Variable`s to train.
        settings: The settings of the optimizer.
    """

    def __init__(self, variables: Sequence[Any], settings: OptimizerSettings) -> None:
        self.settings = settings
        rates = layer_rates([variable.path for variable in variables], settings.layer_decay, settings.head_rate)
        self.trained = [
            TrainedVariable(
                variable.value,
                variable.path,
                decay=0.0 if variable.path.endswith(NOT_DECAYED) else settings.weight_decay,
                rate=rate,
                slots={
                    name: tf.Variable(tf.zeros(variable.shape), trainable=False)
                    for name in self._slot_names(variable.path)
                },
            )
            for variable, rate in zip(variables, rates, strict=True)
        ]
        self.slots = {
            f"optimizer/{name}/{trained.path}": slot for trained in self.trained for name, slot in trained.slots.items()
        }

    def clip(self, gradients: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Scales gradients down to the global norm `clip_norm`; returns them and their norm before scaling."""
        # Wait for all gradients: norms that are computed during the backward pass would take threads from its products.
        gradients = tf.tuple(list(gradients))
        return tf.clip_by_global_norm(gradients, self.settings.clip_norm)

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor, step: tf.Tensor) -> None:
        """Updates each variable with its gradient.

        Args:
            gradients: The gradient of each variable, as dense tensors.
            learning_rate: The learning rate, a float32 scalar.
            step: The number of the step, counted from 0, an int64 scalar.
        """
        for gradient, trained in zip(gradients, self.trained, strict=True):
            rate = learning_rate if trained.rate == 1.0 else learning_rate * trained.rate
            self._update(trained, gradient, rate, step)

    @abc.abstractmethod
    def _slot_names(self, path: str) -> Sequence[str]:
        """Returns the names of the slots for the variable with this path."""

    @abc.abstractmethod
    def _update(self, trained: TrainedVariable, gradient: tf.Tensor, rate: tf.Tensor, step: tf.Tensor) -> None:
        """Updates one variable and its slots."""


class AdamW(Optimizer):
    """Adam with decoupled weight decay (arXiv 1711.05101), computed by one fused operation for each variable."""

    def _slot_names(self, path: str) -> Sequence[str]:
        return ("mean", "square")

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        settings, variable = self.settings, trained.variable
        # The fused operation uses these powers of beta for the bias correction; with 0 there is no correction.
        powers = tf.constant(0.0), tf.constant(0.0)
        epsilon = tf.constant(settings.epsilon)
        if settings.bias_correction:
            power = tf.cast(step + 1, tf.float32)
            powers = tf.pow(settings.beta_1, power), tf.pow(settings.beta_2, power)
            # The fused operation adds epsilon before it corrects the square root. The paper (arXiv 1412.6980, algorithm
            # 1) and PyTorch add it afterwards, where its effect is up to thirty times smaller in the first steps.
            epsilon *= tf.sqrt(1.0 - powers[1])
        if trained.decay:
            # The decay is applied first, so that it is a fraction of the weight at which the gradient was computed.
            variable.assign(variable * (1.0 - rate * trained.decay))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=trained.slots["mean"].handle,
            v=trained.slots["square"].handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=settings.beta_1,
            beta2=settings.beta_2,
            epsilon=epsilon,
            grad=gradient,
        )


class Muon(AdamW):
    """Muon: orthogonalized momentum for the kernels of the blocks, and AdamW for all other variables.

    The method is that of Jordan et al. (2024). Its updates are scaled to the usual size of AdamW's updates, so that the
    same learning rate and weight decay suit both (arXiv 2502.16982, section 2.2). The kernel of queries, keys and
    values is treated as three matrices.

    The orthogonalization takes about 4.5 H / T of the arithmetic of a step, for hidden size H and T tokens, so Muon
    suits large batches.
    """

    momentum = 0.95

    def _slot_names(self, path: str) -> Sequence[str]:
        return ("mean",) if BLOCK_KERNEL.search(path) else super()._slot_names(path)

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        if not BLOCK_KERNEL.search(trained.path):
            super()._update(trained, gradient, rate, step)
            return
        variable, momentum = trained.variable, self.momentum
        mean = trained.slots["mean"]
        first = mean.assign(momentum * mean + (1 - momentum) * gradient)
        ahead = momentum * first + (1 - momentum) * gradient  # Nesterov momentum
        matrices = tf.split(ahead, 3 if QKV.search(trained.path) else 1, axis=1)
        # The entries of an orthonormal matrix [M, N] have a mean square of 1 / max(M, N); those of AdamW's updates have
        # a mean square of about 0.2².
        length = 0.2 * max(matrices[0].shape) ** 0.5
        update = tf.concat([length * orthogonalized(matrix) for matrix in matrices], axis=1)
        variable.assign(variable * (1.0 - rate * trained.decay) - rate * update)


class Lamb(Optimizer):
    """LAMB: Adam's updates, scaled to the norm of the weights, for very large batches (arXiv 1904.00962).

    The updates of biases and LayerNorm parameters are not scaled.
    """

    def _slot_names(self, path: str) -> Sequence[str]:
        return ("mean", "square")

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        settings, variable = self.settings, trained.variable
        mean, square = trained.slots["mean"], trained.slots["square"]
        first = mean.assign(settings.beta_1 * mean + (1 - settings.beta_1) * gradient)
        second = square.assign(settings.beta_2 * square + (1 - settings.beta_2) * tf.square(gradient))
        if settings.bias_correction:
            power = tf.cast(step + 1, tf.float32)
            first = first / (1 - tf.pow(settings.beta_1, power))
            second = second / (1 - tf.pow(settings.beta_2, power))
        update = first / (tf.sqrt(second) + settings.epsilon)
        if trained.is_kernel:
            update += trained.decay * variable
            weight_norm, update_norm = tf.norm(variable), tf.norm(update)
            # There is no ratio of norms if the weights or the update are all 0; the update is then not scaled.
            defined = (weight_norm > 0) & (update_norm > 0)
            update *= tf.where(defined, weight_norm / tf.where(defined, update_norm, 1.0), 1.0)
        variable.assign_sub(rate * update)


class Sgd(Optimizer):
    """Gradient descent without momentum, which is simple enough to verify in comparisons."""

    def _slot_names(self, path: str) -> Sequence[str]:
        return ()

    def _update(self, trained: TrainedVariable, gradient: Any, rate: Any, step: Any) -> None:
        trained.variable.assign(trained.variable * (1.0 - rate * trained.decay) - rate * gradient)


def make_optimizer(variables: Sequence[Any], settings: OptimizerSettings) -> Optimizer:
    """Creates the optimizer for variables.

    Args:
        variables: The `keras.Variable`s to train.
        settings: The settings, which name the optimizer.
    """
    kinds: dict[str, type[Optimizer]] = {"adamw": AdamW, "lamb": Lamb, "muon": Muon, "sgd": Sgd}
    return kinds[settings.name](variables, settings)
