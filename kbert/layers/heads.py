"""The heads of an encoder: the pooler, the head of the masked language model, and classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kbert.config import BertConfig
from kbert.layers.dropout import Dropout
from kbert.layers.layer import BertLayer, as_config, as_generator, serialized
from kbert.layers.normalization import LayerNorm
from kbert.layers.projection import Projection, initializer, product_with_rows

MASKED_LOGIT = -1e9
"""The logit of an impossible choice, such as a padded position. Its probability is 0 in float32, and the sum of two of
them is finite. Attention scores use `kbert.layers.attention.MASK_BIAS` instead, which half precision can represent."""


def gather_positions(hidden: Any, positions: Any) -> Any:
    """Returns the vectors at given positions of each row: float32 [B, S, H] and int32 [B, P] → float32 [B·P, H]."""
    batch, length, width = ops.shape(hidden)
    rows = ops.reshape(ops.arange(batch, dtype="int32") * length, (-1, 1))
    return ops.take(ops.reshape(hidden, (-1, width)), ops.reshape(positions + rows, (-1,)), axis=0)


@keras.saving.register_keras_serializable("kbert")
class Pooler(BertLayer):
    """The pooler: tanh of a projection of the first token, [CLS]; in packed rows, of the [CLS] of each example.

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        seed_generator: Draws the fresh weights: a `keras.random.SeedGenerator`, or its seed.
        precision: The precision of matrix products: "float32", "bfloat16" or "float16". A shorthand for `dtype`.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        seed_generator: keras.random.SeedGenerator | int,
        precision: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(precision=precision, **kwargs)
        config, seed_generator = as_config(config), as_generator(seed_generator)
        self.config = config
        self.seed_generator = seed_generator
        kernel = initializer(config.initializer_range, seed_generator)
        self.dense = Projection(config.hidden_size, kernel, "tanh", dtype=self.dtype_policy, name="dense")

    def build(self, inputs_shape: Any, *_: Any) -> None:
        """Creates the variables for inputs of the shape [B, S, H]."""
        self.dense.build((inputs_shape[0], inputs_shape[-1]))

    def call(self, inputs: Any, positions: Any = None) -> Any:
        """Maps float32 [B, S, H] to float32 [B, H], or with int32 positions [B, E] to float32 [B, E, H]."""
        if positions is None:
            return self.dense(inputs[:, 0])
        pooled = self.dense(gather_positions(inputs, positions))
        return ops.reshape(pooled, (*ops.shape(positions), self.dense.units))

    def compute_output_shape(self, inputs_shape: Any, positions_shape: Any = None) -> Any:
        """Returns [B, H] for [B, S, H], or [B, E, H] with positions of the shape [B, E]."""
        return (*(positions_shape or inputs_shape[:1]), inputs_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "seed_generator": serialized(self.seed_generator),
        }


@keras.saving.register_keras_serializable("kbert")
class MaskedLanguageModelHead(BertLayer):
    """The head of the masked language model. It predicts tokens at given positions.

    The output projection is the token table of the embeddings (tied weights).

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        seed_generator: Draws the fresh weights: a `keras.random.SeedGenerator`, or its seed.
        precision: The precision of matrix products: "float32", "bfloat16" or "float16". A shorthand for `dtype`.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        seed_generator: keras.random.SeedGenerator | int,
        precision: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(precision=precision, **kwargs)
        config, seed_generator = as_config(config), as_generator(seed_generator)
        self.config = config
        self.seed_generator = seed_generator
        kernel = initializer(config.initializer_range, seed_generator)
        self.dense = Projection(config.hidden_size, kernel, config.hidden_act, dtype=self.dtype_policy, name="dense")
        self.norm = LayerNorm(epsilon=config.layer_norm_eps, name="norm")

    def build(self, *_: Any) -> None:
        """Creates the variables."""
        self.dense.build((None, self.config.hidden_size))
        self.norm.build((None, self.config.hidden_size))
        self.bias = self.add_weight(shape=(self.config.vocab_size,), initializer="zeros", name="bias")

    def call(
        self, hidden: Any, positions: Any, token_table: Any, used: Any = None, training: bool | None = None
    ) -> Any:
        """Maps float32 [B, S, H], int32 [B, P] and the token table [V, H] to logits, float32 [B, P, V].

        The vectors at the P positions are gathered before the projection to the vocabulary, so that the other tokens
        cost nothing. `used`, int32 [U], selects among all B·P positions; the logits are then float32 [U, V].
        """
        gathered = gather_positions(hidden, positions)
        if used is not None:
            gathered = ops.take(gathered, used, axis=0)
        logits = self.logits(gathered, token_table, training)
        return logits if used is not None else ops.reshape(logits, (*ops.shape(positions), self.config.vocab_size))

    def logits(self, vectors: Any, token_table: Any, training: bool | None = None) -> Any:
        """Maps the vectors of T tokens, float32 [T, H], and the token table [V, H] to logits, float32 [T, V]."""
        transformed = self.norm(self.dense(vectors, training=training), training=training)
        return ops.add(product_with_rows(transformed, token_table, self.precision), self.bias)

    def compute_output_shape(self, hidden_shape: Any, positions_shape: Any, *_: Any) -> Any:
        """Returns [B, P, V] for [B, S, H] and [B, P]."""
        return (*positions_shape, self.config.vocab_size)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "seed_generator": serialized(self.seed_generator),
        }


@keras.saving.register_keras_serializable("kbert")
class ClassificationHead(BertLayer):
    """A classifier: dropout, then the logits of the classes, from the vector of a text or of each token.

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        classes: The number of classes.
        seed_generator: Draws the fresh weights and the dropout masks: a `keras.random.SeedGenerator`, or its seed.
    """

    float32_only = True

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        classes: int,
        seed_generator: keras.random.SeedGenerator | int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        config, seed_generator = as_config(config), as_generator(seed_generator)
        self.config = config
        self.seed_generator = seed_generator
        rate = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = Dropout(rate, seed_generator, name="dropout")
        kernel = initializer(config.initializer_range, seed_generator)
        self.dense = Projection(classes, kernel, dtype=self.dtype_policy, name="dense")

    def build(self, input_shape: Any) -> None:
        """Creates the variables for inputs of the shape [..., H]."""
        self.dense.build(input_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Maps float32 [..., H] to logits, float32 [..., classes]."""
        return self.dense(self.dropout(inputs, training=training))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns [..., classes] for [..., H]."""
        return (*input_shape[:-1], self.dense.units)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data."""
        return super().get_config() | {
            "config": self.config.to_dict(),
            "classes": self.dense.units,
            "seed_generator": serialized(self.seed_generator),
        }
