"""Training data in memory: rows of tokens of different lengths, each with its targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.text.graph.encoder import GraphEncoder

_ENCODED_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, concatenated.

    Args:
        values: The values of all rows, [sum of lengths], or vectors, [sum of lengths, size].
        lengths: The number of values in each row, int64 [rows].
        padding: The value that pads shorter rows in a batch.
        by_token: Whether a row has one value for each token. It is then padded to the length of the tokens.
    """

    values: np.ndarray
    lengths: np.ndarray
    padding: int | float = 0
    by_token: bool = False

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]], dtype: Any, padding: int | float = 0, by_token: bool = False) -> Ragged:
        """Concatenates rows; the other arguments are those of the class."""
        lengths = np.array([len(row) for row in rows], np.int64)
        flat = [value for row in rows for value in row]
        return cls(np.array(flat, dtype), lengths, padding, by_token)

    def __len__(self) -> int:
        return len(self.lengths)


@dataclasses.dataclass(frozen=True)
class TrainingRows:
    """The examples of a task as token ids and targets, for training.

    An item is the unit of shuffling and of the batch size. An item is one row of tokens: a text, a pair, or a
    window of a long text. With `group_sizes`, an item has several rows that stay together: the choices of a question,
    the candidates of a query, or the two sides of a pair of embeddings. The tokens of a batch then have the shape
    [B, C, S] instead of [B, S], where C is the size of the largest item. Missing rows have an `input_mask` of zeros.

    Args:
        ids: The token ids of each row, special tokens included.
        type_ids: The token type ids, of the same lengths.
        targets: The other inputs of the loss, by name: arrays with one row for each item, or ragged values. Ragged
            values have one row for each item; with `by_token`, one row for each row of tokens.
        group_sizes: The number of rows of each item, int64 [items]; None if each item has one row.
        notes: Sentences about examples that cannot be learnt, which the user should see.
    """

    ids: Ragged
    type_ids: Ragged
    targets: Mapping[str, np.ndarray | Ragged]
    group_sizes: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids) if self.group_sizes is None else len(self.group_sizes)


class TokenRows:
    """Collects the tokens of rows from batches in which the rows are padded."""

    def __init__(self) -> None:
        self._ids: list[np.ndarray] = []
        self._type_ids: list[np.ndarray] = []
        self._lengths: list[np.ndarray] = []

    def add(self, encoded: Mapping[str, np.ndarray]) -> np.ndarray:
        """Adds the rows of a batch, and returns the places of their tokens, bool [R, S].

        Args:
            encoded: The features of the encoder, int32 [R, S].
        """
        inside: np.ndarray = encoded[features.INPUT_MASK.name] == 1
        self._ids.append(encoded[features.INPUT_WORD_IDS.name][inside])
        self._type_ids.append(encoded[features.INPUT_TYPE_IDS.name][inside])
        self._lengths.append(inside.sum(-1))
        return inside

    def tokens(self) -> tuple[Ragged, Ragged]:
        """Returns the token ids and the token type ids of all rows."""
        return self.by_token(self._ids), self.by_token(self._type_ids)

    def by_token(self, values: Sequence[np.ndarray], **settings: Any) -> Ragged:
        """Returns values of the tokens of all rows.

        Args:
            values: The values of the tokens of each batch.
            settings: Further arguments of `Ragged`.
        """
        return Ragged(np.concatenate(values), np.concatenate(self._lengths), **settings)


def encode_texts(
    encode: GraphEncoder, texts: Sequence[str], pairs: Sequence[str] | None = None, *, keep_end: bool = False
) -> tuple[Ragged, Ragged]:
    """Returns the token ids and token type ids of texts or of pairs.

    Args:
        encode: The tokenizer in the graph, with the sequence length.
        texts: The texts.
        pairs: The second texts of pairs; None for single texts.
        keep_end: Whether the first texts of pairs lose their beginning instead of their end if they are too long.
    """
    ids, types, lengths = [], [], []
    for start in range(0, len(texts), _ENCODED_AT_ONCE):
        part = slice(start, start + _ENCODED_AT_ONCE)
        tokens = [encode.tokenizer.compiled(strings(column[part])) for column in (texts, pairs) if column is not None]
        encoded, type_ids = encode.joined(*tokens, keep_end=keep_end)
        ids.append(encoded.flat_values.numpy())
        types.append(type_ids.flat_values.numpy())
        lengths.append(encoded.row_lengths().numpy())
    joined = np.concatenate(lengths)
    return Ragged(np.concatenate(ids), joined), Ragged(np.concatenate(types), joined)


def strings(texts: Sequence[str]) -> tf.Tensor:
    """Returns texts as a tensor, string [B]. A surrogate, which UTF-8 cannot encode, becomes "?"."""
    return tf.constant([text.encode("utf-8", "replace") for text in texts], tf.string)


def as_strings(values: Sequence[Any]) -> tf.Tensor:
    """Returns texts as a tensor, string [B], or lists of texts as a tensor, string [B, C], padded with ""."""
    if not values or isinstance(values[0], str):
        return strings(values)
    most = max(1, *map(len, values))
    return tf.stack([strings([*row, *[""] * (most - len(row))]) for row in values])


def as_spans(values: Sequence[Any], *, are_lists: bool) -> tf.Tensor:
    """Returns spans, each a start and an end, as a tensor, int32 [B, 2].

    Args:
        values: A span for each row, or a list of spans.
        are_lists: Whether the values are lists of spans. The tensor is int32 [B, C, 2] then, padded with 0.
    """
    if not are_lists:
        return tf.constant(np.array(values, np.int32).reshape(-1, 2))
    padded = np.zeros((len(values), max(1, *map(len, values)), 2), np.int32)
    for row, spans in enumerate(values):
        if len(spans):
            padded[row, : len(spans)] = spans
    return tf.constant(padded)
