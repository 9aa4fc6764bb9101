"""The default sequence length of fine-tuning: long enough for nearly all training texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kbert.tasks.protocol.trainable import TrainableTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.graph.tokenizer import GraphTokenizer

LENGTHS = (128, 192, 256)
"""The possible defaults. With 256 tokens, attention is still a small part of the time of a step."""

MOST_CUT = 0.05
"""The share of training texts that may lose their end."""

_SAMPLE = 1000


class FittingLength(NamedTuple):
    """A default for the sequence length.

    Args:
        length: The number of tokens.
        too_long: The share of the training texts that are longer, and lose their end.
    """

    length: int
    too_long: float


def fitting_length(
    task: TrainableTask[Any], examples: Sequence[Any], tokenizer: GraphTokenizer, positions: int
) -> FittingLength:
    """Returns the smallest of LENGTHS that cuts at most MOST_CUT of the training texts, or else the largest.

    Padding is not computed, so a longer limit costs only what the longer texts need.

    Args:
        task: The task. It cuts long texts; one that reads them in windows needs no such default.
        examples: The training examples, of which up to 1,000 are tokenized.
        tokenizer: The tokenizer of the model.
        positions: The number of positions of the model, which limits the length.
    """
    lengths = sorted({min(length, positions) for length in LENGTHS})
    places = np.linspace(0, len(examples) - 1, min(_SAMPLE, len(examples))).astype(int)
    # One more token than the largest length tells whether a text is longer.
    encode = GraphEncoder(tokenizer, lengths[-1] + 1)
    found = task.training_rows([examples[place] for place in places], encode).ids.lengths
    for length in lengths:
        share = float((found > length).mean())
        if share <= MOST_CUT:
            break
    return FittingLength(length, share)
