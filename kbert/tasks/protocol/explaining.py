"""The protocol of tasks for explanations: the number of a text that is attributed to its words."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kbert import features
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.objective import Tensors
from kbert.text.graph.encoder import GraphEncoder

LABEL, SPAN, SENTENCE = "label", "span", "sentence"
"""The names of what a caller may choose of an answer: a label, a span of the text, or one of several sentences."""


class ExplainableTask(abc.ABC):
    """A task whose model computes a number for each text, which an explanation attributes to the words."""

    explained_as: str
    """What the number is, in words that continue "the score of a word is its part of the"."""
    explained_choice: str | None = None
    """For tasks with a list of texts, such as candidates: the answer that holds the chosen text, which is explained."""

    compares_vectors: bool = False
    """Whether the number is that of two texts, each of which has a vector."""

    @property
    def explained_inputs(self) -> Sequence[TextInput]:
        """The texts that an explanation needs; by default those of a prediction."""
        inputs: Sequence[TextInput] = self.text_inputs  # type: ignore[attr-defined]
        return inputs

    @property
    def explained_labels(self) -> Sequence[str] | None:
        """The labels, each of which has a number of its own; None if there is a single number."""
        return getattr(self, "labels", None)

    @property
    def caller_choices(self) -> Sequence[str]:
        """What the caller may choose of the answer: some of LABEL, SPAN and SENTENCE."""
        return () if self.explained_labels is None else (LABEL,)

    def explained_outputs(self, model: Any, embedded: tf.Tensor, batch: Tensors) -> Tensors:
        """Returns the outputs of the model for vectors of tokens, without dropout.

        Args:
            model: The Keras model that the task built.
            embedded: The vectors after the embedding layer, float32 [B, S, H].
            batch: The features of the model, with a row for each text.
        """
        encoded = model.encoder.from_embeddings(embedded, batch[features.INPUT_MASK.name])
        if any(len(each.dimensions) == 2 for each in self.model_features):  # type: ignore[attr-defined]
            # Each row is a list of one choice.
            batch = {name: values[:, None] for name, values in batch.items()}
        outputs: Tensors = model.heads(encoded, batch, training=False)
        return outputs

    def explained_target(self, outputs: Tensors) -> tf.Tensor:
        """Returns what is explained unless the caller chooses a label: the index of the likeliest label, int32 [B].

        Args:
            outputs: The outputs of the model, with `logits`, float32 [B, C].
        """
        return tf.argmax(outputs["logits"], -1, tf.int32)

    @abc.abstractmethod
    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the number that is explained, float32 [B].

        Args:
            outputs: The outputs of the model.
            target: What `explained_target` returned, or the indices of chosen labels. For a `PartsExplainingTask`, what
                `explained_part` returned.
        """


class TokenPlaces(NamedTuple):
    """The places of the tokens of rows in their texts."""

    texts: tf.Tensor
    """The index of the text that each token is from, int32 [B, S]; -1 for tokens that always stay, such as [CLS]."""
    starts: tf.Tensor
    """The offset of the first character of each token in its text, int32 [B, S]."""
    ends: tf.Tensor
    """The offset after the last character of each token in its text, int32 [B, S]."""


class ExplainedPart(NamedTuple):
    """What is explained of each text, and the row of tokens from which the model computes it."""

    features: dict[str, tf.Tensor]
    """The features that `explained_outputs` needs, with a row for each text."""
    places: TokenPlaces
    """The places of the tokens of these rows."""
    target: tf.Tensor
    """The argument of `explained_number`, [B] or [B, ...]."""
    answers: dict[str, tf.Tensor]
    """The explained part of the answer, for people: some of the keys of ANSWERS, [B] each."""


ANSWERS = ("choice", LABEL, "answer", "generated", SENTENCE, "start", "end", "value")
"""The names of what is explained, in the order in which people read them."""


class PartsExplainingTask(ExplainableTask):
    """A task that explains a part of its answer, such as one of several entities.

    It chooses the row of tokens by itself, since a long text has several windows.
    """

    @abc.abstractmethod
    def explained_part(
        self, encode: GraphEncoder, encoded: Tensors, outputs: Tensors, chosen: Tensors
    ) -> ExplainedPart:
        """Returns what is explained of each text, in the graph.

        Args:
            encode: The tokenizer in the graph.
            encoded: All tensors that `encode` returned.
            outputs: The outputs of the model.
            chosen: What the caller chose, by the names in `caller_choices`: LABEL, the indices of labels, int32 [B], -1
                for no choice; SPAN, character offsets, int32 [B, 2], an empty span for no choice; SENTENCE, int32 [B],
                -1 for no choice.
        """


def log_odds(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns log(p / (1 - p)) of the probability p of a class in a softmax, float32 [B].

    Unlike the logarithm of p, it does not level off if the model is sure. For two classes it is the difference of their
    logits.

    Args:
        logits: The logits of exclusive classes, float32 [B, C].
        target: The index of the class of each row, int32 [B].
    """
    chosen = tf.one_hot(target, tf.shape(logits)[-1], on_value=True, off_value=False, dtype=tf.bool)
    others = tf.reduce_logsumexp(tf.where(chosen, logits.dtype.min, logits), -1)
    return tf.gather(logits, target, batch_dims=1) - others
