"""Records the inputs and outputs of layers with weights, from which the gradient of each single example follows.

The gradient of a kernel is a sum over tokens: Σ xᵀ g, with the input x of the layer and the gradient g of its output.
Automatic differentiation returns only this sum. Training with differential privacy needs the sum over the tokens of
each example (kbert.training.private), and therefore x, and the outputs as sources of the gradients.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator
from typing import Any


@dataclasses.dataclass(frozen=True)
class TokenPlaces:
    """Where the tokens of a batch are that a `TokenRow` has joined in one row.

    Args:
        places: The index of each token in the flattened batch, int32 [T].
        tokens: The number of the token at each position of the batch, int32 [B, S]; T for padding.
    """

    places: Any
    tokens: Any


@dataclasses.dataclass(frozen=True)
class RecordedCall:
    """One call of a layer.

    Args:
        layer: The layer: a `Projection` or a `LayerNorm`.
        inputs: What its weights are multiplied with, float32 [..., width]: the input of a projection, or the normalized
            input of a LayerNorm.
        outputs: The output before the activation, float32 [..., units].
        row: The places of the tokens, if the input is a row of tokens without padding; otherwise None, and the leading
            dimensions of the input are those of the batch.
    """

    layer: Any
    inputs: Any
    outputs: Any
    row: TokenPlaces | None


class Recording:
    """The calls of layers within `recorded_calls`, in their order."""

    def __init__(self) -> None:
        self.calls: list[RecordedCall] = []
        self.row: TokenPlaces | None = None
        """The places of the tokens while layers get a row of tokens."""


_RECORDING: contextvars.ContextVar[Recording | None] = contextvars.ContextVar("recording", default=None)


@contextlib.contextmanager
def recorded_calls() -> Iterator[Recording]:
    """Records the calls of layers within a `with` block.

    Example:
        >>> layer = Projection(2, "ones")
        >>> with recorded_calls() as recording:
        ...     outputs = layer(np.ones((1, 3), "float32"))
        >>> recording.calls[0].layer is layer
        True
    """
    recording = Recording()
    token = _RECORDING.set(recording)
    try:
        yield recording
    finally:
        _RECORDING.reset(token)


def record_call(layer: Any, inputs: Any, outputs: Any) -> None:
    """Records a call of a layer, if there is a recording; see `RecordedCall`."""
    recording = _RECORDING.get()
    if recording is not None:
        recording.calls.append(RecordedCall(layer, inputs, outputs, recording.row))


def record_row(row: TokenPlaces | None) -> None:
    """Records that the next layers get a row of tokens without padding; None ends this."""
    recording = _RECORDING.get()
    if recording is not None:
        recording.row = row
