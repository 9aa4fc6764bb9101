"""A dense layer whose matrix product has an optional lower precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from kbert.errors import UsageError
from kbert.layers.activations import Activation
from kbert.layers.activations import activation as named_activation
from kbert.layers.fake_quantization import check_fake_quantization, rounded_kernel, straight_through
from kbert.layers.gradients import own_gradient
from kbert.layers.layer import BertLayer, serialized
from kbert.layers.low_rank import LowRankPart, joined_factors, low_rank_product
from kbert.layers.recording import record_call


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
        self.low_rank_parts: list[LowRankPart] = []
        """The parts of the kernel that have LoRA; empty without LoRA."""
        self.fake_quantization: str | None = None
        """The dtype that the kernel is rounded to, "int8" or "int4"; None without fake quantization."""

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
        outputs = ops.add(self._product(flat), self.bias)
        record_call(self, inputs, outputs)
        if self.activation is not None:
            outputs = self.activation(outputs, training)
        return ops.reshape(outputs, (*ops.shape(inputs)[:-1], self.units))

    def _product(self, flat: Any) -> Any:
        if self.low_rank_parts:
            return low_rank_product(flat, self.kernel, self.low_rank_parts, product, self.precision)
        dtype = self.fake_quantization
        if dtype is None:
            return product(flat, self.kernel, self.precision)
        rounded = straight_through(self.kernel, lambda kernel: rounded_kernel(kernel, dtype))
        return product(flat, rounded, self.precision)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
        *,
        columns: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        """Freezes the kernel W and adds trained matrices A and B of a low rank to it: W + (α / r) A B.

        As with the method of the same name of `keras.layers.Dense`, the bias stays trained, files of weights contain
        the sum, and an optimizer that was made before does not train A and B.

        Args:
            rank: The rank r of A, float32 [width, r], and of B, float32 [r, columns].
            lora_alpha: The factor α; None means r.
            a_initializer: Draws A.
            b_initializer: Draws B. With zeros, the outputs of the layer are the same as before.
            columns: The columns of the kernel that get an A and a B of their own, each as (index, number of equal parts
                of the kernel) by the name of the part; None for one A and one B for the whole kernel.

        Raises:
            UsageError: The rank is less than 1, or the layer is not built or has LoRA already.

        Example:
            >>> layer = Projection(4, "glorot_uniform")
            >>> layer.build((None, 8))
            >>> layer.enable_lora(2)
            >>> [variable.shape for variable in layer.trainable_variables]
            [(4,), (8, 2), (2, 4)]
        """
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise UsageError(f"rank must be a whole number of at least 1. Received: rank={rank!r}")
        if not self.built:
            raise UsageError(f"LoRA needs a layer that is built. {self.name} is not; call it or its model once")
        if self.low_rank_parts:
            raise UsageError(f"a layer can get LoRA only once. {self.name} has LoRA of rank {self.lora_rank} already")
        if self.fake_quantization is not None:
            raise UsageError(f"a layer has either LoRA or fake quantization. {self.name} has fake quantization")
        alpha = float(rank if lora_alpha is None else lora_alpha)
        self._tracker.unlock()
        parts = []
        for name, (index, count) in (columns or {"kernel": (0, 1)}).items():
            shapes = {"a": (self.kernel.shape[0], rank), "b": (rank, self.units // count)}
            down, up = (
                self.add_weight(shape=shapes[letter], initializer=keras.initializers.get(initializer), name=full_name)
                for letter, initializer, full_name in (
                    ("a", a_initializer, f"lora_{name}_a"),
                    ("b", b_initializer, f"lora_{name}_b"),
                )
            )
            parts.append(LowRankPart(name, down, up, (index, count), alpha))
        self.low_rank_parts = parts
        self.kernel.trainable = False
        self._tracker.lock()

    def enable_fake_quantization(self, dtype: str) -> None:
        """Rounds the kernel to `dtype` whenever the layer computes, as the LiteRT export stores it.

        The variable keeps its values, and is trained with the gradient of the rounded kernel. A graph that was traced
        before does not change.

        Args:
            dtype: "int8" or "int4".

        Raises:
            UsageError: The dtype is unknown, or the layer has LoRA.

        Example:
            >>> layer = Projection(1, "ones")
            >>> layer.build((None, 2))
            >>> layer.kernel.assign([[127.0], [1.4]])
            >>> layer.enable_fake_quantization("int8")
            >>> layer(np.array([[0.0, 1.0]])).numpy().tolist()
            [[1.0]]
        """
        check_fake_quantization(dtype)
        if self.low_rank_parts:
            raise UsageError(f"a layer has either LoRA or fake quantization. {self.name} has LoRA")
        self.fake_quantization = dtype

    def store_rounded_weights(self) -> None:
        """Assigns the rounded kernel to the variable, and ends the fake quantization."""
        if self.fake_quantization is not None:
            self.kernel.assign(rounded_kernel(self.kernel, self.fake_quantization))
            self.fake_quantization = None

    @property
    def lora_enabled(self) -> bool:
        """Whether the kernel has LoRA."""
        return bool(self.low_rank_parts)

    @property
    def lora_rank(self) -> int | None:
        """The rank of LoRA; None without LoRA."""
        return self.low_rank_parts[0].rank if self.low_rank_parts else None

    def merged_kernel(self) -> Any:
        """Returns the kernel with LoRA's sum, float32 [width, units]; without LoRA, the kernel itself."""
        if not self.low_rank_parts:
            return ops.convert_to_tensor(self.kernel)
        down, up = joined_factors(self.low_rank_parts)
        return ops.convert_to_tensor(self.kernel) + ops.matmul(down, up)

    def assign_kernel(self, kernel: Any) -> None:
        """Sets the kernel. B becomes 0, so that the layer computes with this kernel, also if it has LoRA."""
        self.kernel.assign(kernel)
        for part in self.low_rank_parts:
            part.up.assign(ops.zeros(part.up.shape))

    def save_own_variables(self, store: Any) -> None:
        """Stores the kernel with LoRA's sum, and the bias, so that a layer without LoRA can load the file."""
        if self.built:
            store["0"], store["1"] = ops.convert_to_numpy(self.merged_kernel()), ops.convert_to_numpy(self.bias)

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` stored. LoRA starts from a B of 0."""
        if not self.low_rank_parts:
            super().load_own_variables(store)
            return
        self.assign_kernel(store["0"])
        self.bias.assign(store["1"])

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
