"""The dense layer, with the precision of its product as an option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kbert.layers.activations import Activation
from kbert.layers.activations import activation as named_activation
from kbert.layers.gradients import own_gradient
from kbert.layers.layer import BertLayer, serialized


def initializer(standard_deviation: float, seed_generator: keras.random.SeedGenerator) -> Any:
    """Truncated normal, as the original draws all its kernels and tables."""
    return keras.initializers.TruncatedNormal(stddev=standard_deviation, seed=seed_generator)


def product(left: Any, right: Any, dtype: str) -> Any:
    """A matrix product with operands in `dtype` and a float32 outcome.

    Only products are worth a lower precision: they are nearly all of the work, while element-wise bfloat16
    is no faster on CPUs and loses accuracy everywhere.
    """
    return ops.cast(ops.matmul(ops.cast(left, dtype), ops.cast(right, dtype)), "float32")


def product_with_rows(left: Any, table: Any, dtype: str) -> Any:
    """float32 [T, H] and a table [V, H] → float32 [T, V]: the product of each pair of rows, as `product`.

    The gradient of the table is made as the table lies in memory. Of a transposed table it would be made transposed,
    and the largest gradient of a model be turned around in every step.
    """

    @own_gradient
    def function(left: Any, table: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        def gradient(above: Any) -> tuple[Any, Any]:
            return product(above, table, dtype), product(ops.transpose(above), left, dtype)

        return product(left, ops.transpose(table), dtype), gradient

    # Reshaped, a variable is a tensor: TensorFlow's custom gradients take no variables for arguments.
    return function(left, ops.reshape(table, table.shape))


@keras.saving.register_keras_serializable("kbert")
class Projection(BertLayer):
    """y = activation(x W + b), variables in float32.

    Args:
        units: Width of the output.
        kernel_initializer: Draws W, [input width, units]: a Keras initializer, its name or its serialized form. b
            starts at 0.
        activation: The function that is applied to the result, in float32, or its name.
        precision: The precision of the product: "float32", "bfloat16" or "float16"; a shorthand for `dtype`.
    """

    def __init__(
        self,
        units: int,
        kernel_initializer: Any,
        activation: Activation | str | None = None,
        precision: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(precision=precision, **kwargs)
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.activation = named_activation(activation) if isinstance(activation, str) else activation

    def build(self, input_shape: Any) -> None:
        """Makes the variables for inputs of shape [..., width]."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Takes float32 [..., width]; gives float32 [..., units]."""
        # ops.add becomes TensorFlow's BiasAdd, whose gradient is many times faster than that of `+`.
        outputs = ops.add(product(inputs, self.kernel, self.precision), self.bias)
        return outputs if self.activation is None else self.activation(outputs, training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[..., width] → [..., units]."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "units": self.units,
            "kernel_initializer": serialized(self.kernel_initializer),
            "activation": None if self.activation is None else self.activation.name,
        }
