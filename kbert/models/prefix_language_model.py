"""A model that continues a source text with a target text, one token after the other (UniLM, arXiv 1905.03197)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kbert import features
from kbert.errors import UsageError
from kbert.layers.attention import attention_bias, prefix_attention_bias
from kbert.layers.heads import gather_positions
from kbert.layers.padding import TokenRow, pad_rows
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel

_IDENTITY_BIAS = 8.0
"""The bias of a fresh transform. GELU changes values above 4 by less than 1e-3, and the LayerNorm behind it subtracts
the mean. So a transform with the kernel I and this bias computes the LayerNorm of its input."""


class SourceCache(NamedTuple):
    """What the tokens of an answer need to know of its source."""

    keys: tuple[Any, ...]
    """The keys of the source in each block, [B, N, D, S]."""
    values: tuple[Any, ...]
    """The values of the source in each block, [B, N, S, D]."""
    bias: Any
    """The bias that masks the padding of the source, float32 [B, 1, 1, S]."""
    lengths: Any
    """The number of tokens of the source, int32 [B]."""


@keras.saving.register_keras_serializable("kbert")
class PrefixLanguageModel(MaskedLanguageModel):
    """A masked language model that reads rows of a source and a target, and predicts the next token of the target.

    It has the same variables as a `MaskedLanguageModel`. A row is [CLS] source [SEP] target, with the type 0 for the
    source and 1 for the target. A token of the target attends to the source and to the target up to itself, and the
    head at its position predicts the token behind it; the head at [SEP] predicts the first token.

    The input is a dict of the encoder's features, of `masked_lm_positions`, int32 [B, P], and optionally of
    `masked_lm_weights`, float32 [B, P]. The output is a dict of `mlm_logits`, float32 [B, P, V]. If the encoder skips
    padding and there are weights, logits are computed only where the weights are above 0, float32 [U, V].

    The head of a new model computes the LayerNorm of its input times the token table, instead of a random transform.

    Args:
        encoder: The encoder. Its pooler is optional and not used.
        target_masks: The part of the target tokens that are replaced by random tokens of other targets of the batch
            when the model reads them in training. The model then learns to continue answers with an error in them.

    Raises:
        UsageError: The dtype policy differs from that of the encoder, or `target_masks` is not in [0, 1).
    """

    def __init__(self, encoder: BertEncoder, target_masks: float = 0.0, **kwargs: Any) -> None:
        if not 0 <= target_masks < 1:
            raise UsageError(f"target_masks must be in [0, 1). Received: target_masks={target_masks}")
        super().__init__(encoder, **kwargs)
        self.target_masks = target_masks
        self.token_row = TokenRow(name="token_row") if self.encoder.skip_padding else None
        dense = self.mlm_head.dense
        dense.kernel.assign(ops.eye(dense.units))
        dense.bias.assign(ops.full((dense.units,), _IDENTITY_BIAS))

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Returns the logits of the tokens behind `masked_lm_positions`."""
        ids, mask, types = (inputs[feature.name] for feature in features.ENCODER_FEATURES)
        if training and self.target_masks:
            ids = self._with_wrong_tokens(ids, types)
        bias = prefix_attention_bias(mask, types)
        hidden, places, tokens = self._embedded(ids, mask, types, training)
        for block in self.encoder.blocks:
            hidden = block(hidden, bias, places, tokens, training=training)
        hidden = hidden if places is None else pad_rows(hidden, places, tokens)
        return self.heads({"sequence_output": hidden}, inputs, training)

    def from_embeddings(self, embedded: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the outputs for given vectors of the embedding layer, without dropout.

        Args:
            embedded: The vectors, float32 [B, S, H], such as those that the embedding layer returns.
            inputs: The inputs of the model. The ids are not read.
        """
        mask, types = inputs[features.INPUT_MASK.name], inputs[features.INPUT_TYPE_IDS.name]
        bias = prefix_attention_bias(mask, types)
        for block in self.encoder.blocks:
            embedded = block(embedded, bias, training=False)
        return self.heads({"sequence_output": embedded}, inputs, training=False)

    def heads(self, encoded: Mapping[str, Any], inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the logits, computed from the vectors of all tokens."""
        weights = inputs.get(features.MASKED_LM_WEIGHTS.name)
        used = None
        if weights is not None and self.encoder.skip_padding:
            (used,) = ops.nonzero(ops.reshape(weights > 0, (-1,)))
        positions = inputs[features.MASKED_LM_POSITIONS.name]
        table = self.encoder.embeddings.token_table
        return {"mlm_logits": self.mlm_head(encoded["sequence_output"], positions, table, used, training=training)}

    def read_source(self, inputs: Mapping[str, Any]) -> tuple[Any, SourceCache]:
        """Computes the tokens of sources, [CLS] source [SEP].

        Args:
            inputs: The features of the encoder, int32 [B, S] each.

        Returns:
            The vectors of the last tokens, which predict the first tokens of the targets, float32 [B, 1, H]; and what
            `step` needs of the sources.
        """
        ids, mask, types = (inputs[feature.name] for feature in features.ENCODER_FEATURES)
        bias = attention_bias(mask)
        hidden, places, tokens = self._embedded(ids, mask, types, None)
        cached = []
        for block in self.encoder.blocks:
            hidden, keys, values = block.with_keys(hidden, bias, places, tokens)
            cached.append((keys, values))
        hidden = hidden if places is None else pad_rows(hidden, places, tokens)
        lengths = ops.sum(mask, axis=1)
        last = gather_positions(hidden, lengths[:, None] - 1)
        keys, values = (tuple(part) for part in zip(*cached, strict=True))
        return last[:, None, :], SourceCache(keys, values, bias, lengths)

    def step(
        self, ids: Any, place: Any, source: SourceCache, keys: Sequence[Any], values: Sequence[Any], bias: Any
    ) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
        """Computes one new token of each of K answers to each source.

        Args:
            ids: The ids of the new tokens, int32 [B, K].
            place: Their place in the answers, from 0, an int32 scalar.
            source: What `read_source` returned.
            keys: For each block the keys of the T earlier tokens of all answers, [B, N, D, T]; T is 0 at first.
            values: For each block the values of these tokens, [B, N, T, D].
            bias: The bias of attention scores of the K new tokens to these tokens and to the new ones, which broadcasts
                to float32 [B, N, K, T + K].

        Returns:
            The vectors of the new tokens, float32 [B, K, H], and the keys and values with those of the new tokens.
        """
        positions = ops.zeros_like(ids) + source.lengths[:, None] + place
        hidden = self.encoder.embeddings(ids, ops.ones_like(ids), positions)
        new_keys, new_values = [], []
        for index, block in enumerate(self.encoder.blocks):
            of_source = (source.keys[index], source.values[index], source.bias)
            hidden, key, value = block.step(hidden, of_source, keys[index], values[index], bias)
            new_keys.append(key)
            new_values.append(value)
        return hidden, tuple(new_keys), tuple(new_values)

    def next_logits(self, hidden: Any) -> Any:
        """Returns the logits of the tokens behind the given ones: float32 [B, K, H] → float32 [B, K, V]."""
        flat = ops.reshape(hidden, (-1, hidden.shape[-1]))
        logits = self.mlm_head.logits(flat, self.encoder.embeddings.token_table)
        return ops.reshape(logits, (*ops.shape(hidden)[:2], logits.shape[-1]))

    def _embedded(self, ids: Any, mask: Any, types: Any, training: bool | None) -> tuple[Any, Any, Any]:
        """Returns the embeddings, and the `places` and `tokens` of a `TokenRow` if the encoder skips padding."""
        places = tokens = positions = None
        if self.token_row is not None:
            places, tokens, positions, ids, types = self.token_row(mask, ids, types)
        return self.encoder.embeddings(ids, types, positions, training=training), places, tokens

    def _with_wrong_tokens(self, ids: Any, types: Any) -> Any:
        """Returns the ids with some target tokens replaced by random target tokens of the batch."""
        generator = self.encoder.seed_generator
        flat = ops.reshape(ids, (-1,))
        numbers = ops.cumsum(ops.reshape(types, (-1,)))  # the number of target tokens up to each token
        drawn = keras.random.uniform(ops.shape(ids), seed=generator)
        wanted = 1 + ops.cast(drawn * ops.cast(numbers[-1], "float32"), "int32")
        places = ops.searchsorted(numbers, ops.reshape(ops.minimum(wanted, numbers[-1]), (-1,)))
        other = ops.reshape(ops.take(flat, places), ops.shape(ids))
        replaced = keras.random.uniform(ops.shape(ids), seed=generator) < self.target_masks
        return ops.where(ops.logical_and(replaced, types > 0), other, ids)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {"target_masks": self.target_masks}
