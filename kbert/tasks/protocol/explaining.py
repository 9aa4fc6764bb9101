"""The protocol of tasks for explanations: the number of a text that is attributed to its words."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import tensorflow as tf

from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.objective import Tensors


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
            target: What `explained_target` returned, or the indices of chosen labels.
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
