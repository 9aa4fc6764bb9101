"""What is trained on: rows of tokens of different lengths, each with its targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_ENCODED_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Rows of values of different lengths, joined.

    Args:
        values: All values, [sum of lengths].
        lengths: How many each row has, int64 [rows].
        padding: What stands behind the values of a row in a batch.
        by_token: Whether a row has one value a token, so that it is padded as the tokens are.
    """

    values: np.ndarray
    lengths: np.ndarray
    padding: int | float = 0
    by_token: bool = False

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]], dtype: Any, padding: int | float = 0, by_token: bool = False) -> Ragged:
        """Joins rows."""
        lengths = np.array([len(row) for row in rows], np.int64)
        flat = [value for row in rows for value in row]
        return cls(np.array(flat, dtype), lengths, padding, by_token)

    def __len__(self) -> int:
        return len(self.lengths)


@dataclasses.dataclass(frozen=True)
class TrainingRows:
    """The examples of a task as a model learns from them.

    An item is what is shuffled and counted as one of a batch. It is one row of tokens: a text, a pair, a window of
    a long text; or, with `group_sizes`, several rows that stay together: the choices of a question, the candidates of
    a query, the two sides of a pair of embeddings. A batch then has tokens of the shape [B, C, S] in place of [B, S],
    C that of its largest item; rows that an item lacks have an `input_mask` of zeros.

    Args:
        ids: The token ids of each row, special tokens included.
        type_ids: Their types, of the same lengths.
        targets: What the loss needs beside the tokens, by name: arrays with a row an item, or ragged values (with a
            row an item; those `by_token` with a row of tokens).
        group_sizes: How many rows each item has, int64 [items]; None for one each.
        notes: Sentences that say which examples cannot be learnt from.
    """

    ids: Ragged
    type_ids: Ragged
    targets: Mapping[str, np.ndarray | Ragged]
    group_sizes: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids) if self.group_sizes is None else len(self.group_sizes)


def encode_texts(encode: Any, texts: Sequence[str], pairs: Sequence[str] | None = None) -> tuple[Ragged, Ragged]:
    """The ids and type ids of texts, or pairs.

    Args:
        encode: The GraphEncoder that the model will be served with.
        texts: The texts.
        pairs: Their second texts.
    """
    graph = tf.function(encode.ragged, reduce_retracing=True)
    ids, types, lengths = [], [], []
    for start in range(0, len(texts), _ENCODED_AT_ONCE):
        part = slice(start, start + _ENCODED_AT_ONCE)
        arguments = [strings(texts[part])] + ([] if pairs is None else [strings(pairs[part])])
        encoded, type_ids = graph(*arguments)
        ids.append(encoded.flat_values.numpy())
        types.append(type_ids.flat_values.numpy())
        lengths.append(encoded.row_lengths().numpy())
    joined = np.concatenate(lengths)
    return Ragged(np.concatenate(ids), joined), Ragged(np.concatenate(types), joined)


def strings(texts: Sequence[str]) -> tf.Tensor:
    """Texts as a tensor of UTF-8; what UTF-8 cannot say becomes "?"."""
    return tf.constant([text.encode("utf-8", "replace") for text in texts], tf.string)


def as_strings(values: Sequence[Any]) -> tf.Tensor:
    """Texts as a tensor, string [B]; lists of texts as one of [B, C], padded with ""."""
    if not values or isinstance(values[0], str):
        return strings(values)
    most = max(1, *map(len, values))
    return tf.stack([strings([*row, *[""] * (most - len(row))]) for row in values])
