"""Layers that skip padding: they join the tokens of a batch in one row without padding, and undo it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kbert.layers.gradients import own_gradient
from kbert.layers.layer import BertLayer
from kbert.layers.recording import TokenPlaces, record_row


@keras.saving.register_keras_serializable("kbert")
class TokenRow(BertLayer):
    """Joins the tokens of a batch in one row, without padding.

    XLA does not support this layer, because the number of tokens T is known only at run time.
    """

    float32_only = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_jit = False

    def call(self, input_mask: Any, *inputs: Any) -> tuple[Any, ...]:
        """Returns where the tokens of a batch are, their positions, and their values.

        Args:
            input_mask: 1 for a token and 0 for padding, int32 [B, S].
            inputs: Features with a value for each position, int32 [B, S] each.

        Returns:
            The index of each of the T tokens in the flattened batch, int32 [T]; the number of the token at each
            position of the batch, int32 [B, S], which is T for padding; the position of each token in its row,
            int32 [1, T]; and the values of each input at the tokens, int32 [1, T].
        """
        rows, length = ops.shape(input_mask)
        flat = ops.reshape(input_mask, (-1,))
        places = ops.cast(ops.nonzero(flat)[0], "int32")
        count = ops.shape(places)[0]
        tokens = ops.where(flat > 0, ops.cumsum(flat) - 1, count)
        values = (ops.take(ops.reshape(values, (-1,)), places) for values in inputs)
        in_a_row = (ops.reshape(row, (1, -1)) for row in (places % length, *values))
        tokens = ops.reshape(tokens, (rows, length))
        record_row(TokenPlaces(places, tokens))
        return (places, tokens, *in_a_row)

    def compute_output_spec(self, input_mask: Any, *inputs: Any) -> tuple[Any, ...]:
        """Returns int32 [T] and [B, S], and [1, T] for the positions and for each input."""
        rows = (keras.KerasTensor((1, None), "int32") for _ in (input_mask, *inputs))
        return (keras.KerasTensor((None,), "int32"), keras.KerasTensor(input_mask.shape, "int32"), *rows)


@keras.saving.register_keras_serializable("kbert")
class PaddedRows(BertLayer):
    """Moves the vectors of tokens back into the rows of the batch, with zeros for padding."""

    float32_only = True

    def call(self, inputs: Any, places: Any, tokens: Any) -> Any:
        """Maps float32 [1, T, H], with the `places` and `tokens` of `TokenRow`, to float32 [B, S, H]."""
        record_row(None)
        return pad_rows(inputs, places, tokens)

    def compute_output_spec(self, inputs: Any, places: Any, tokens: Any) -> Any:
        """Returns float32 [B, S, H]."""
        return keras.KerasTensor((*tokens.shape, inputs.shape[-1]), inputs.dtype)


def pad_rows(hidden: Any, places: Any, tokens: Any) -> Any:
    """Maps float32 [1, T, H] to float32 [B, S, H], with the `places` and `tokens` of `TokenRow`."""
    return _with_gradient(lambda row: _padded(row, tokens), lambda rows: _dropped(rows, places), hidden)


def first_tokens(hidden: Any, tokens: Any) -> Any:
    """Returns the vectors of the first token of each row.

    Args:
        hidden: The vectors of the tokens, float32 [1, T, H].
        tokens: See `TokenRow`.

    Returns:
        float32 [B, 1, H]; zeros for a row without tokens.
    """
    return _padded(hidden, tokens[:, :1])


def zero_empty_rows(first: Any, places: Any, tokens: Any) -> Any:
    """Returns the vectors of first tokens, with zeros for rows without tokens, as `pad_rows` has them.

    Args:
        first: A vector for each row, float32 [B, 1, H].
        places: See `TokenRow`.
        tokens: See `TokenRow`.
    """
    has_tokens = tokens[:, :1] < ops.shape(places)[0]
    return ops.where(has_tokens[:, :, None], first, 0.0)


def drop_padding(hidden: Any, places: Any, tokens: Any) -> Any:
    """Maps float32 [B, S, H] to float32 [1, T, H], with the `places` and `tokens` of `TokenRow`."""
    return _with_gradient(lambda rows: _dropped(rows, places), lambda row: _padded(row, tokens), hidden)


def _padded(hidden: Any, tokens: Any) -> Any:
    width = hidden.shape[-1]
    with_zeros = ops.concatenate([ops.reshape(hidden, (-1, width)), ops.zeros((1, width), hidden.dtype)])
    return ops.take(with_zeros, tokens, axis=0)


def _dropped(hidden: Any, places: Any) -> Any:
    width = hidden.shape[-1]
    return ops.reshape(ops.take(ops.reshape(hidden, (-1, width)), places, axis=0), (1, -1, width))


def _with_gradient(forward: Callable[[Any], Any], backward: Callable[[Any], Any], hidden: Any) -> Any:
    """Returns forward(hidden). Its gradient is `backward`, applied to the upstream gradient.

    `_padded` and `_dropped` are each other's gradient, since each token has exactly one position. TensorFlow's own
    gradient, a sum over segments, takes five times as long.
    """
    return own_gradient(lambda values: (forward(values), backward))(hidden)
