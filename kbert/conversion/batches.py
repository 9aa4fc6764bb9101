"""The input batches on which a conversion compares two models."""

from __future__ import annotations

import dataclasses

import numpy as np

from kbert.config import BertConfig

Outputs = dict[str, np.ndarray]
"""The outputs of a model for one batch: float32 arrays by the names of kbert's outputs."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """The inputs of the encoder for B sequences of length S.

    Args:
        ids: The token ids, int32 [B, S].
        mask: 1 for tokens and 0 for padding, int32 [B, S].
        types: The token types (segments), int32 [B, S].
    """

    ids: np.ndarray
    mask: np.ndarray
    types: np.ndarray

    def inside(self, outputs: Outputs) -> Outputs:
        """Returns the outputs without the values at padding, which are arbitrary: [B, S, …] becomes [tokens, …]."""
        kept = self.mask == 1
        return {name: value[kept] if _is_of_tokens(name, value) else value for name, value in outputs.items()}


def random_batches(config: BertConfig) -> list[Batch]:
    """Returns random inputs for a model of this shape; the same shape always gets the same inputs.

    They include padded single texts and pairs, a sequence of one token, and a sequence of the maximum length.
    """
    rng = np.random.default_rng(0)
    length = min(config.max_position_embeddings, 64)
    batches = []
    for size, lengths in (
        (length, [length, max(1, length // 3), 1, max(1, length - 1)]),
        (config.max_position_embeddings, [config.max_position_embeddings]),
    ):
        ends = np.array(lengths)[:, None]
        places = np.arange(size)
        mask = (places < ends).astype(np.int32)
        # Every other row is a pair, cut in the middle.
        second = (places >= ends // 2) & (np.arange(len(lengths))[:, None] % 2 == 0) & (config.type_vocab_size > 1)
        ids = rng.integers(0, config.vocab_size, (len(lengths), size)).astype(np.int32) * mask
        batches.append(Batch(ids, mask, second.astype(np.int32) * mask))
    return batches


def _is_of_tokens(name: str, value: np.ndarray) -> bool:
    """Returns whether an output has a value or vector per token: all outputs [B, S, …], and the span logits [B, S]."""
    return value.ndim == 3 or name in ("start_logits", "end_logits")
