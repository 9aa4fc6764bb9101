"""The cost model: floating-point operations of a training step, from the model's configuration.

Only matrix products are counted: they are all but a few percent of the work, and what a device's peak is given for. A
product of [m, k] and [k, n] takes 2·m·k·n operations. With H the width, I the width of the feed-forward layer, L the
blocks, V the vocabulary; for R rows of S tokens, of which P a row are predicted, the forward pass takes

    blocks         L · R · S · (8·H² + 4·H·I)      queries, keys, values: 6·H²; output: 2·H²; feed-forward: 4·H·I
    attention      L · R · 4·S²·H                  scores and weighted sums, over all heads
    pooler         R · 2·H²
    token head     R · P · (2·H² + 2·H·V)          gathered before the projection to the vocabulary
    pair head      R · 4·H

and the backward pass twice as much: one product for the inputs and one for the weights (arXiv 2001.08361, section 2.1).
Padding is counted where it is computed: a model that skips it (see `BertEncoder`) has fewer tokens than R · S in its
blocks, and fewer predictions than R · P. Recomputation for memory is not counted, as in arXiv 2204.02311, appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kbert import features
from kbert.config import BertConfig

_FORWARD_AND_BACKWARD = 3


def encoder_flops(config: BertConfig, rows: int, length: int, *, tokens: int | None = None, pooled: bool = True) -> int:
    """Operations of an encoder's forward pass.

    Args:
        config: The shape of the model.
        rows: Rows of a batch.
        length: Tokens of a row, padding included.
        tokens: How many of all tokens are worked on; by default padding is, too.
        pooled: Whether it has the pooler.
    """
    width, inner = config.hidden_size, config.intermediate_size
    tokens = rows * length if tokens is None else tokens
    block = tokens * (8 * width**2 + 4 * width * inner) + rows * 4 * length**2 * width
    return config.num_hidden_layers * block + (rows * 2 * width**2 if pooled else 0)


def pretraining_heads_flops(config: BertConfig, predictions: int, pairs: int) -> int:
    """Operations of both heads of pretraining, forward.

    Args:
        config: The shape of the model.
        predictions: Places for predictions in a batch.
        pairs: Pairs of texts that are judged.
    """
    width = config.hidden_size
    return predictions * (2 * width**2 + 2 * width * config.vocab_size) + pairs * 4 * width


def training_flops(
    config: BertConfig,
    shapes: Mapping[str, Sequence[int]],
    *,
    tokens: int | None = None,
    predictions: int | None = None,
) -> int:
    """Operations of a training step: forward and backward of the encoder, and of the heads of pretraining.

    The heads of tasks are left out: they take less than a thousandth of an encoder.

    Args:
        config: The shape of the model.
        shapes: The shape of each feature of the batch: ids [..., S]; with masked positions, these [..., P].
        tokens: Of a model that skips padding, the tokens that are none.
        predictions: Of the same, the places for predictions that are used.
    """
    ids = shapes[features.INPUT_WORD_IDS.name]
    rows = math.prod(ids[:-1])
    forward = encoder_flops(config, rows, ids[-1], tokens=tokens)
    positions = shapes.get(features.MASKED_LM_POSITIONS.name)
    if positions is not None:
        pairs = math.prod(shapes.get(features.NEXT_SENTENCE_LABELS.name, (rows,)))
        forward += pretraining_heads_flops(config, rows * positions[-1] if predictions is None else predictions, pairs)
    return _FORWARD_AND_BACKWARD * forward
