"""The embeddings of BERT: the normalized sum of token, position and type embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert.config import BertConfig
from kbert.errors import UsageError
from kbert.layers.dropout import Dropout
from kbert.layers.fake_quantization import TABLE_BLOCK, check_fake_quantization, rounded_rows, straight_through
from kbert.layers.layer import BertLayer, as_config, as_generator, serialized
from kbert.layers.normalization import LayerNorm
from kbert.layers.projection import initializer


@keras.saving.register_keras_serializable("kbert")
class Embeddings(BertLayer):
    """The embeddings of tokens: LayerNorm(token + position + type), then dropout.

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        seed_generator: Draws the fresh weights and the dropout masks: a `keras.random.SeedGenerator`, or its seed.
    """

    float32_only = True

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        seed_generator: keras.random.SeedGenerator | int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        config, seed_generator = as_config(config), as_generator(seed_generator)
        self.config = config
        self.seed_generator = seed_generator
        self._initializer = initializer(config.initializer_range, seed_generator)
        self.norm = LayerNorm(epsilon=config.layer_norm_eps, name="norm")
        self.dropout = Dropout(config.hidden_dropout_prob, seed_generator, name="dropout")
        self.fake_quantization: str | None = None
        """The dtype that the tables of tokens and types are rounded to; None without fake quantization."""

    def build(self, *_: Any) -> None:
        """Creates the tables: tokens [V, H], positions [512, H] and types [2, H] in the default configuration."""
        config = self.config
        self.token_table = self._table(config.vocab_size, "token_table")
        self.position_table = self._table(config.max_position_embeddings, "position_table")
        self.type_table = self._table(config.type_vocab_size, "type_table")
        self.norm.build((None, None, config.hidden_size))

    def _table(self, rows: int, name: str) -> Any:
        return self.add_weight(shape=(rows, self.config.hidden_size), initializer=self._initializer, name=name)

    def call(
        self, input_word_ids: Any, input_type_ids: Any, input_positions: Any = None, training: bool | None = None
    ) -> Any:
        """Maps int32 [B, S] inputs to float32 [B, S, H]. The default positions count from 0 in each row."""
        tokens = self._rounded(ops.take(self.token_table, input_word_ids, axis=0), self.token_table)
        if input_positions is None:
            positions = self.position_table[: ops.shape(input_word_ids)[1]]
        else:
            positions = ops.take(self.position_table, input_positions, axis=0)
        # A matrix product instead of a look-up, whose gradient would add all [B, S] vectors into two rows of the table.
        type_table = self._rounded(self.type_table, self.type_table)
        types = ops.matmul(ops.one_hot(input_type_ids, self.config.type_vocab_size), type_table)
        total = self.norm(tokens + positions + types, training=training)
        return self.dropout(total, training=training)

    def _rounded(self, rows: Any, table: Any) -> Any:
        """Returns rows of a table, rounded if fake quantization is enabled."""
        dtype = self.fake_quantization
        if dtype is None:
            return rows
        # TensorFlow's custom gradients do not accept functions that read variables.
        whole = ops.stop_gradient(ops.convert_to_tensor(table))
        return straight_through(rows, lambda values: rounded_rows(values, whole, dtype))

    def enable_fake_quantization(self, dtype: str) -> None:
        """Rounds the tables of tokens and types to `dtype` whenever the layer computes, as the LiteRT export does.

        The table of positions is not rounded, since the export keeps it in float32. See
        `Projection.enable_fake_quantization`.

        Args:
            dtype: "int8" or "int4".

        Raises:
            UsageError: The dtype is unknown, or the width is not a multiple of the blocks of int4.
        """
        check_fake_quantization(dtype)
        if dtype == "int4" and self.config.hidden_size % TABLE_BLOCK:
            raise UsageError(
                f"int4 needs a hidden size that is a multiple of {TABLE_BLOCK}. "
                f"Received: hidden size {self.config.hidden_size}"
            )
        self.fake_quantization = dtype

    def store_rounded_weights(self) -> None:
        """Assigns the rounded tables to the variables, and ends the fake quantization."""
        if self.fake_quantization is not None:
            for table in (self.token_table, self.type_table):
                values = ops.convert_to_tensor(table)
                table.assign(rounded_rows(values, values, self.fake_quantization))
            self.fake_quantization = None

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        """Returns [B, S, H] for [B, S]."""
        return (*input_shape, self.config.hidden_size)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "seed_generator": serialized(self.seed_generator),
        }
