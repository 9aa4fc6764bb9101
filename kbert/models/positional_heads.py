"""Initializes the attention heads of the first block so that they attend to neighbouring tokens.

Trained BERTs have heads that attend to the previous or the next token (Clark et al. 2019, arXiv 1906.04341, section
3.1). From random weights such heads develop late: values are useful only once attention finds positions, and finding
positions is useful only once the values are. Until then a model learns little more than the frequencies of words. The
idea of giving fresh weights a structure of trained weights is from Trockman and Kolter (2023, arXiv 2305.09828).
"""

from __future__ import annotations

import math

import numpy as np

from kbert.models.encoder import BertEncoder

_WAVELENGTHS = (4.0, 40.0)
"""The shortest and the longest wavelength in the position table, in tokens. Short waves distinguish neighbours, long
waves distinguish near from far."""
_SHARE = 0.2
"""The factor of the token and type tables in the dimensions of the waves. With larger values, tokens would attend to
equal tokens."""
_SCORE = 8.0
"""The attention score, before softmax, of the token that a head attends to. It gets about 90 % of the attention."""


def make_heads_positional(encoder: BertEncoder) -> None:
    """Initializes the heads of the first block to attend to the tokens at the offsets -1, 1, -2, 2 and so on.

    As many dimensions of the position table as a head is wide become sines and cosines of the position. The keys of a
    head are these waves. Its queries are the same waves, rotated by the offset of the head (by the angle addition
    formulas). All other weights stay random.

    Args:
        encoder: An encoder with fresh weights, which are changed in place.
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
    # The waves get the standard deviation of the table: that of a wave is sqrt(1/2) of its amplitude.
    positions[:, : 2 * waves] = math.sqrt(2) * positions.std() * np.concatenate([np.sin(angles), np.cos(angles)], 1)
    embeddings.position_table.assign(positions)

    # The amplitude of the waves after LayerNorm. It divides by the standard deviation of the sum of the three tables;
    # in the dimensions of the waves only the position table counts.
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
