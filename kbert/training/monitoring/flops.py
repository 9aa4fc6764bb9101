"""The cost model: floating-point operations of a training step, from the model's configuration.

Only matrix products are counted: they are all but a few percent of the work, and the peak of a device is stated for
them. A product of [m, k] and [k, n] takes 2·m·k·n operations. Let H be the hidden size, I the size of the feed-forward
layer, L the number of blocks and V the size of the vocabulary. For R rows of S tokens with P predictions in each row,
the forward pass takes

    blocks         L · R · S · (8·H² + 4·H·I)      queries, keys, values: 6·H²; output: 2·H²; feed-forward: 4·H·I
    attention      L · R · 4·S²·H                  scores and weighted sums, over all heads
    pooler         R · 2·H²
    token head     R · P · (2·H² + 2·H·V)          gathered before the projection to the vocabulary
    pair head      R · 4·H

and the backward pass takes twice as many: one product for the inputs and one for the weights (arXiv 2001.08361, section
2.1). Padding is counted if the model computes it. A model that skips padding (see `BertEncoder`) computes fewer than
R · S tokens in its blocks, and fewer than R · P predictions. If a model reads only the pooled output, its last block
computes the queries, keys and values of all tokens, and everything else of R tokens. Recomputation that saves memory is
not counted, as in arXiv 2204.02311, appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kbert import features
from kbert.config import BertConfig

_FORWARD_AND_BACKWARD = 3


def encoder_flops(
    config: BertConfig,
    rows: int,
    length: int,
    *,
    tokens: int | None = None,
    pooled: bool = True,
    pooled_only: bool = False,
) -> int:
    """Returns the number of operations of an encoder's forward pass.

    Args:
        config: The configuration of the model.
        rows: The number of rows in a batch.
        length: The number of tokens in a row, padding included.
        tokens: The number of tokens in the batch that the model computes; by default all, padding included.
        pooled: Whether the encoder has a pooler.
        pooled_only: Whether the pooled output is its only output.
    """
    width, inner = config.hidden_size, config.intermediate_size
    tokens = rows * length if tokens is None else tokens

    def block(asking: int, asking_length: int) -> int:
        after_attention = asking * (2 * width**2 + 4 * width * inner)
        return tokens * 6 * width**2 + after_attention + rows * 4 * asking_length * length * width

    last = block(rows, 1) if pooled_only else block(tokens, length)
    return (config.num_hidden_layers - 1) * block(tokens, length) + last + (rows * 2 * width**2 if pooled else 0)


def pretraining_heads_flops(config: BertConfig, predictions: int, pairs: int) -> int:
    """Returns the number of operations of the forward pass of both pretraining heads.

    Args:
        config: The configuration of the model.
        predictions: The number of predictions in a batch, padded ones included if the model computes them.
        pairs: The number of pairs of texts that are classified.
    """
    width = config.hidden_size
    return predictions * (2 * width**2 + 2 * width * config.vocab_size) + pairs * 4 * width


def training_flops(
    config: BertConfig,
    shapes: Mapping[str, Sequence[int]],
    *,
    tokens: int | None = None,
    predictions: int | None = None,
    pooled_only: bool = False,
) -> int:
    """Returns the number of operations of a training step: forward and backward passes of the encoder and its heads.

    Only the heads of pretraining are counted. Those of tasks take less than a thousandth of the encoder's operations.

    Args:
        config: The configuration of the model.
        shapes: The shape of each feature of the batch: ids [..., S], and masked positions, if there are any, [..., P].
        tokens: The number of tokens without padding, for a model that skips padding.
        predictions: The number of predictions without padding, for a model that skips padding.
        pooled_only: Whether the model reads only the pooled output of the encoder.
    """
    ids = shapes[features.INPUT_WORD_IDS.name]
    rows = math.prod(ids[:-1])
    forward = encoder_flops(config, rows, ids[-1], tokens=tokens, pooled_only=pooled_only)
    positions = shapes.get(features.MASKED_LM_POSITIONS.name)
    if positions is not None:
        pairs = math.prod(shapes.get(features.NEXT_SENTENCE_LABELS.name, (rows,)))
        forward += pretraining_heads_flops(config, rows * positions[-1] if predictions is None else predictions, pairs)
    return _FORWARD_AND_BACKWARD * forward
