"""A dense layer whose matrix product has an optional lower precision."""

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
    """Returns the truncated normal initializer, with which the original BERT draws all kernels and tables."""
    return keras.initializers.TruncatedNormal(stddev=standard_deviation, seed=seed_generator)


def product(left: Any, right: Any, dtype: str) -> Any:
    """Returns a matrix product with operands in `dtype` and a float32 result.

    Only matrix products use a lower precision. They are nearly all of the computation, while element-wise operations in
    bfloat16 are no faster on CPUs and lose accuracy.
    """
    return ops.cast(ops.matmul(ops.cast(left, dtype), ops.cast(right, dtype)), "float32")


def product_with_rows(left: Any, table: Any, dtype: str) -> Any:
    """Returns the dot product of each pair of rows: float32 [T, H] and a table [V, H] → float32 [T, V].

    The precision is as in `product`. The gradient of the table is computed in the layout of the table. The automatic
    gradient would be computed transposed, and this largest gradient of the model transposed again in every step.
    """

    @own_gradient
    def function(left: Any, table: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        def gradient(above: Any) -> tuple[Any, Any]:
            return product(above, table, dtype), product(ops.transpose(above), left, dtype)

        return product(left, ops.transpose(table), dtype), gradient

    # TensorFlow's custom gradients do not accept variables; reshaping turns a variable into a tensor.
    return function(left, ops.reshape(table, table.shape))


@keras.saving.register_keras_serializable("kbert")
class Projection(BertLayer):
    """A dense layer: y = activation(x W + b), with float32 variables.

    Args:
        units: The width of the output.
        kernel_initializer: Draws W, of the shape [input width, units]: a Keras initializer, its name or its serialized
            form. b starts at 0.
        activation: The function that is applied to the result, in float32, or its name.
        precision: The precision of the matrix product: "float32", "bfloat16" or "float16". A shorthand for `dtype`.
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
        """Creates the variables for inputs of the shape [..., width]."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Maps float32 [..., width] to float32 [..., units]."""
        # A product of matrices: with more dimensions, TensorFlow would compute shapes in many operations, and would not
        # fuse the product with the bias and the activation.
        flat = ops.reshape(inputs, (-1, inputs.shape[-1]))
        # ops.add becomes TensorFlow's BiasAdd, whose gradient is many times faster than that of `+`.
        outputs = ops.add(product(flat, self.kernel, self.precision), self.bias)
        if self.activation is not None:
            outputs = self.activation(outputs, training)
        return ops.reshape(outputs, (*ops.shape(inputs)[:-1], self.units))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns [..., units] for [..., width]."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "units": self.units,
            "kernel_initializer": serialized(self.kernel_initializer),
            "activation": None if self.activation is None else self.activation.name,
        }
