"""Fresh weights whose first block looks at neighbouring tokens.

Trained BERTs have heads that attend to the token before or after (Clark et al. 2019, arXiv 1906.04341, section 3.1).
Random weights find such heads late: attention must know positions before values are of use, and values must be of use
before positions are worth knowing. Until then a model has learnt little more than how frequent words are. That fresh
weights may be given a structure that trained ones show is Trockman and Kolter's (2023, arXiv 2305.09828).
"""

from __future__ import annotations

import math

import numpy as np

from kbert.models.encoder import BertEncoder

_WAVELENGTHS = (4.0, 40.0)
"""Of the waves in the position table, in tokens: short ones tell neighbours apart, long ones tell near from far."""
_SHARE = 0.2
"""What tokens and types keep of their own in the dimensions of the waves, or each token would attend to its likes."""
_SCORE = 8.0
"""Of the token that a head looks at, before softmax: some nine tenths of its attention."""


def make_heads_positional(encoder: BertEncoder) -> None:
    """Makes heads of the first block look at the token before, after, two before, two after and so on.

    As many dimensions of the position table as a head is wide become sines and cosines of the position. A head's keys
    are these, and its queries the same, rotated to another position (the sum of angles). All else stays random.

    Args:
        encoder: Fresh from its initializers; its weights are changed.
    """
    config = encoder.config
    waves = config.head_size // 2
    wavelengths = np.geomspace(*_WAVELENGTHS, waves)
    angles = 2 * math.pi * np.arange(config.max_position_embeddings)[:, None] / wavelengths  # [P, W]
    embeddings = encoder.embeddings
    for table in (embeddings.token_table, embeddings.type_table):
        values = np.array(table)
        values[:, : 2 * waves] *= _SHARE
        table.assign(values)
    positions = np.array(embeddings.position_table)
    # As strong as what was there: a wave deviates by sqrt(1/2) of its height.
    positions[:, : 2 * waves] = math.sqrt(2) * positions.std() * np.concatenate([np.sin(angles), np.cos(angles)], 1)
    embeddings.position_table.assign(positions)

    # LayerNorm divides by the deviation of a sum of three tables, of one where the waves are: here is what it leaves.
    width, rest = config.hidden_size, config.hidden_size - 2 * waves
    amplitude = math.sqrt(2 * width / (3 * rest + 2 * waves))
    gain = math.sqrt(_SCORE * math.sqrt(config.head_size) / waves) / amplitude
    kernel = encoder.blocks[0].attention.qkv.kernel
    values = np.array(kernel)
    for head in range(config.num_attention_heads):
        offset = (head // 2 + 1) * (-1, 1)[head % 2]
        turns = 2 * math.pi * offset / wavelengths
        cosines, sines = np.diag(np.cos(turns)), np.diag(np.sin(turns))
        first = head * config.head_size
        query, key = (slice(start + first, start + first + 2 * waves) for start in (0, width))
        values[: 2 * waves, query] = gain * np.block([[cosines, -sines], [sines, cosines]])
        values[: 2 * waves, key] = gain * np.eye(2 * waves)
    kernel.assign(values)
