"""Leaves padding out of the work: the tokens of a batch in one row, without what only fills rows up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kbert.layers.gradients import own_gradient
from kbert.layers.layer import BertLayer


@keras.saving.register_keras_serializable("kbert")
class TokenRow(BertLayer):
    """Which places of a batch hold tokens, and what stands there.

    How many there are is known only when it runs, so XLA cannot compile it.
    """

    float32_only = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_jit = False

    def call(self, input_mask: Any, *inputs: Any) -> tuple[Any, ...]:
        """Takes int32 [B, S] each, the first one 0 where there is padding.

        Gives the places of the T tokens among all B·S, int32 [T]; which of the tokens stands at each place, int32
        [B, S], T where none does; and of the tokens, int32 [1, T] each, the position in their row and the values of
        the other inputs.
        """
        rows, length = ops.shape(input_mask)
        flat = ops.reshape(input_mask, (-1,))
        places = ops.cast(ops.nonzero(flat)[0], "int32")
        count = ops.shape(places)[0]
        tokens = ops.where(flat > 0, ops.cumsum(flat) - 1, count)
        values = (ops.take(ops.reshape(values, (-1,)), places) for values in inputs)
        in_a_row = (ops.reshape(row, (1, -1)) for row in (places % length, *values))
        return (places, ops.reshape(tokens, (rows, length)), *in_a_row)

    def compute_output_spec(self, input_mask: Any, *inputs: Any) -> tuple[Any, ...]:
        """int32 [T] and [B, S], and [1, T] for the positions and each of the inputs."""
        rows = (keras.KerasTensor((1, None), "int32") for _ in (input_mask, *inputs))
        return (keras.KerasTensor((None,), "int32"), keras.KerasTensor(input_mask.shape, "int32"), *rows)


@keras.saving.register_keras_serializable("kbert")
class PaddedRows(BertLayer):
    """The vectors of tokens back in the rows of their batch, with zeros where there is padding."""

    float32_only = True

    def call(self, inputs: Any, places: Any, tokens: Any) -> Any:
        """Takes float32 [1, T, H] and what `TokenRow` gives; gives float32 [B, S, H]."""
        return pad_rows(inputs, places, tokens)

    def compute_output_spec(self, inputs: Any, places: Any, tokens: Any) -> Any:
        """float32 [B, S, H]."""
        return keras.KerasTensor((*tokens.shape, inputs.shape[-1]), inputs.dtype)


def pad_rows(hidden: Any, places: Any, tokens: Any) -> Any:
    """float32 [1, T, H] → float32 [B, S, H], with the places and tokens of `TokenRow`."""
    return _with_gradient(lambda row: _padded(row, tokens), lambda rows: _dropped(rows, places), hidden)


def drop_padding(hidden: Any, places: Any, tokens: Any) -> Any:
    """float32 [B, S, H] → float32 [1, T, H], with the places and tokens of `TokenRow`."""
    return _with_gradient(lambda rows: _dropped(rows, places), lambda row: _padded(row, tokens), hidden)


def _padded(hidden: Any, tokens: Any) -> Any:
    width = hidden.shape[-1]
    with_zeros = ops.concatenate([ops.reshape(hidden, (-1, width)), ops.zeros((1, width), hidden.dtype)])
    return ops.take(with_zeros, tokens, axis=0)


def _dropped(hidden: Any, places: Any) -> Any:
    width = hidden.shape[-1]
    return ops.reshape(ops.take(ops.reshape(hidden, (-1, width)), places, axis=0), (1, -1, width))


def _with_gradient(forward: Callable[[Any], Any], backward: Callable[[Any], Any], hidden: Any) -> Any:
    """forward(hidden), whose gradient is `backward` of the gradient from above.

    Each of the two above is the other's gradient, as no token stands at two places. What TensorFlow finds by itself,
    a sum over segments, takes five times as long.
    """
    return own_gradient(lambda values: (forward(values), backward))(hidden)
