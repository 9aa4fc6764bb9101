"""A model as a function from the vectors of tokens to the number that is explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from kbert import features


class ExplainedRows(NamedTuple):
    """The rows of tokens whose numbers are explained."""

    ids: tf.Tensor
    """The tokens, int32 [B, S]."""
    mask: tf.Tensor
    """1 for a token and 0 for padding, int32 [B, S]."""
    types: tf.Tensor
    """The segments, int32 [B, S]."""
    words: tf.Tensor
    """The index of the word of each token in its row, int32 [B, S]; -1 for tokens that always stay, such as [CLS]."""
    target: tf.Tensor
    """What is explained of each row, [B] or [B, H]; see `ExplainableTask`."""


class ExplainedModel:
    """A model whose numbers are explained.

    Args:
        task: The task, an `ExplainableTask`.
        model: The Keras model that the task built.
        absent_id: The token that stands for the absence of a word.
    """

    def __init__(self, task: Any, model: Any, absent_id: int) -> None:
        self.task = task
        self.model = model
        self.absent_id = absent_id

    def embedded(self, rows: ExplainedRows) -> tf.Tensor:
        """Returns the vectors of the tokens after the embedding layer, float32 [B, S, H]."""
        vectors: tf.Tensor = self.model.encoder.embeddings(rows.ids, rows.types, training=False)
        return vectors

    def outputs(self, embedded: tf.Tensor, rows: ExplainedRows) -> Mapping[str, tf.Tensor]:
        """Returns the outputs of the model for the vectors of tokens, float32 [B, S, H]."""
        names = (each.name for each in features.ENCODER_FEATURES)
        batch = dict(zip(names, rows[:3], strict=True))
        if any(len(each.dimensions) == 2 for each in self.task.model_features):
            # Each row is a list of one choice.
            batch = {name: values[:, None] for name, values in batch.items()}
        encoded = self.model.encoder.from_embeddings(embedded, rows.mask)
        outputs: Mapping[str, tf.Tensor] = self.model.heads(encoded, batch, training=False)
        return outputs

    def numbers(self, embedded: tf.Tensor, rows: ExplainedRows) -> tf.Tensor:
        """Returns the numbers for the vectors of tokens, float32 [B]."""
        found: tf.Tensor = self.task.explained_number(self.outputs(embedded, rows), rows.target)
        return found

    def gradients(self, embedded: tf.Tensor, rows: ExplainedRows) -> tf.Tensor:
        """Returns the gradient of each row's number with respect to its vectors, float32 [B, S, H]."""
        with tf.GradientTape() as tape:
            tape.watch(embedded)
            numbers = self.numbers(embedded, rows)
        return tape.gradient(numbers, embedded)

    def without_words(self, rows: ExplainedRows, word: tf.Tensor | int | None = None) -> ExplainedRows:
        """Returns the rows with the absent token in place of one word, or of all words.

        Args:
            rows: The rows.
            word: The index of the word; None for all words.
        """
        removed = rows.words >= 0 if word is None else rows.words == word
        return rows._replace(ids=tf.where(removed, self.absent_id, rows.ids))
