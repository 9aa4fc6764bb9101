"""A model as a function from the vectors of tokens to the number that is explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from kbert import features


class ExplainedRows(NamedTuple):
    """The rows of tokens whose numbers are explained."""

    features: dict[str, tf.Tensor]
    """The features of the model, int32 [B, S] each, and further ones of some tasks."""
    words: tf.Tensor
    """The index of the word of each token in its row, int32 [B, S]; -1 for tokens that always stay, such as [CLS]."""
    target: tf.Tensor
    """What is explained of each row, [B] or [B, ...]; see `ExplainableTask`."""

    @property
    def ids(self) -> tf.Tensor:
        """The tokens, int32 [B, S]."""
        return self.features[features.INPUT_WORD_IDS.name]


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
        # The functions are traced once, although explanations call them in several places.
        self._outputs = tf.function(self._compute_outputs, autograph=False, reduce_retracing=True)
        self._gradients = tf.function(self._compute_gradients, autograph=False, reduce_retracing=True)

    def embedded(self, rows: ExplainedRows) -> tf.Tensor:
        """Returns the vectors of the tokens after the embedding layer, float32 [B, S, H]."""
        types = rows.features[features.INPUT_TYPE_IDS.name]
        vectors: tf.Tensor = self.model.encoder.embeddings(rows.ids, types, training=False)
        return vectors

    def outputs(self, embedded: tf.Tensor, rows: ExplainedRows) -> Mapping[str, tf.Tensor]:
        """Returns the outputs of the model for the vectors of tokens, float32 [B, S, H]."""
        found: Mapping[str, tf.Tensor] = self._outputs(embedded, rows.features)
        return found

    def numbers(self, embedded: tf.Tensor, rows: ExplainedRows) -> tf.Tensor:
        """Returns the numbers for the vectors of tokens, float32 [B]."""
        found: tf.Tensor = self.task.explained_number(self.outputs(embedded, rows), rows.target)
        return found

    def gradients(self, embedded: tf.Tensor, rows: ExplainedRows) -> tf.Tensor:
        """Returns the gradient of each row's number with respect to its vectors, float32 [B, S, H]."""
        found: tf.Tensor = self._gradients(embedded, rows)
        return found

    def without_words(self, rows: ExplainedRows, word: tf.Tensor | int | None = None) -> ExplainedRows:
        """Returns the rows with the absent token in place of one word, or of all words.

        Args:
            rows: The rows.
            word: The index of the word; None for all words.
        """
        removed = rows.words >= 0 if word is None else rows.words == word
        ids = tf.where(removed, self.absent_id, rows.ids)
        return rows._replace(features={**rows.features, features.INPUT_WORD_IDS.name: ids})

    def _compute_outputs(self, embedded: tf.Tensor, batch: dict[str, tf.Tensor]) -> Any:
        return self.task.explained_outputs(self.model, embedded, batch)

    def _compute_gradients(self, embedded: tf.Tensor, rows: ExplainedRows) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(embedded)
            numbers = self.numbers(embedded, rows)
        return tape.gradient(numbers, embedded)
