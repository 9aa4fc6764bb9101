"""Heads that NumPy computes: for a few texts, the call of a TensorFlow graph takes longer than a head."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kbert.layers.heads import Pooler
from kbert.layers.projection import Projection

NumpyHeads = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]
"""A function from the vectors of tokens, float32 [B, S, H], and the mask, int32 [B, S], to the outputs of a model.

If the encoder has `pooled_only`, the vectors are those of the first tokens, float32 [B, 1, H]."""


def numpy_classifier(pooler: Pooler | None, dense: Projection) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from the vectors of the first tokens, float32 [B, H], to logits, float32 [B, C].

    Args:
        pooler: The pooler of the encoder, whose present weights are used.
        dense: The last layer of the head, whose present weights are used.
    """
    assert pooler is not None
    pool, classify = _product(pooler.dense), _product(dense)
    return lambda firsts: classify(np.tanh(pool(firsts)))


def _product(layer: Projection) -> Callable[[np.ndarray], np.ndarray]:
    """Returns x W + b, without the activation of the layer."""
    assert not layer.low_rank_parts
    assert layer.fake_quantization is None
    kernel, bias = np.array(layer.kernel), np.array(layer.bias)
    return lambda values: values @ kernel + bias
