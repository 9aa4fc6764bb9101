"""The embeddings of BERT: the normalized sum of token, position and type embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert.config import BertConfig
from kbert.layers.dropout import Dropout
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
        tokens = ops.take(self.token_table, input_word_ids, axis=0)
        if input_positions is None:
            positions = self.position_table[: ops.shape(input_word_ids)[1]]
        else:
            positions = ops.take(self.position_table, input_positions, axis=0)
        # A matrix product instead of a look-up, whose gradient would add all [B, S] vectors into two rows of the table.
        types = ops.matmul(ops.one_hot(input_type_ids, self.config.type_vocab_size), self.type_table)
        total = self.norm(tokens + positions + types, training=training)
        return self.dropout(total, training=training)

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        """Returns [B, S, H] for [B, S]."""
        return (*input_shape, self.config.hidden_size)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "seed_generator": serialized(self.seed_generator),
        }
