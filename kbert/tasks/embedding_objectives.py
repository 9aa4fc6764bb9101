"""The training objectives of embedding: which texts form an item, their targets, and the loss.

Dimensions: B items in a batch, C texts in an item (the text itself, its pair and its negatives), H the size of vectors.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from kbert.layers.heads import MASKED_LOGIT
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.training_rows import Ragged
from kbert.tasks.readers.embedding import EmbeddingExample, negatives_of

Item = tuple[str, ...]
"""A text, followed by the texts that its vector is compared with."""


class EmbeddingObjective(abc.ABC):
    """What the vectors of texts are trained for."""

    loss: ClassVar[str]
    """The name of the loss."""
    has_accuracy: ClassVar[bool] = True
    """Whether `loss_sums` includes "accuracy"."""
    needs_whole_batch: ClassVar[bool] = False
    """Whether texts are compared with those of other items of the batch."""
    needed_columns: ClassVar[tuple[str, ...]] = ()
    """The roles, beside "text", that each training example must have."""

    @abc.abstractmethod
    def items(self, examples: Sequence[EmbeddingExample]) -> list[Item]:
        """Returns the texts that are encoded together, without prompts."""

    @abc.abstractmethod
    def targets(self, examples: Sequence[EmbeddingExample], items: Sequence[Item]) -> dict[str, np.ndarray | Ragged]:
        """Returns the targets of the items that `items` returned for the examples, with one row for each item."""

    @abc.abstractmethod
    def loss_sums(self, vectors: tf.Tensor, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the sums of the loss and of the accuracy over the items of a batch, float32 scalars.

        Args:
            vectors: The vectors of the texts of each item, float32 [B, C, H].
            batch: The targets of the batch.
        """

    def can_measure(self, example: EmbeddingExample) -> bool:
        """Returns whether the loss can be computed for validation examples like this one."""
        return all(getattr(example, role) is not None for role in self.needed_columns)


class ContrastiveObjective(EmbeddingObjective):
    """Finds the second text of each item among the other texts of the batch, by a softmax over cosines.

    Texts that the training file pairs with the same text are masked.

    Args:
        temperature: The divisor of the cosines.
    """

    loss = "contrastive_loss"
    needs_whole_batch = True

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def targets(self, examples: Sequence[EmbeddingExample], items: Sequence[Item]) -> dict[str, np.ndarray | Ragged]:
        """Returns two targets, in which each distinct text has a number.

        "candidates", int32 [items, C - 1] or ragged, are the numbers of the other texts of the item; "positives",
        ragged int32, are the numbers of all texts that are right for the text.
        """
        numbers: dict[str, int] = {}
        for item in items:
            for text in item[1:]:
                numbers.setdefault(text, len(numbers))
        listed = [[numbers[text] for text in item[1:]] for item in items]
        candidates: np.ndarray | Ragged = Ragged.of(listed, np.int32, padding=-1)
        if len(set(map(len, listed))) == 1:
            candidates = np.array(listed, np.int32)
        positives: dict[str, dict[int, None]] = {}
        for text, pair, *_ in items:
            positives.setdefault(text, {})[numbers[pair]] = None
        for text in positives.keys() & numbers.keys():  # a text is not a wrong answer to itself
            positives[text][numbers[text]] = None
        return {
            "candidates": candidates,
            "positives": Ragged.of([list(positives[item[0]]) for item in items], np.int32, padding=-1),
        }

    def loss_sums(self, vectors: tf.Tensor, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over items. "accuracy" counts texts that are nearer to their pair than to all other texts."""
        texts, others = vectors[:, 0], vectors[:, 1:]
        shape = tf.shape(others)
        candidates = tf.reshape(others, [-1, shape[2]])
        logits = tf.matmul(texts, candidates, transpose_b=True) / self.temperature  # [B, B * (C - 1)]
        targets = tf.range(shape[0]) * shape[1]
        numbers = tf.reshape(batch["candidates"], [1, -1, 1])
        also_right = tf.reduce_any(numbers == batch["positives"][:, None, :], -1)
        own = tf.one_hot(targets, shape[0] * shape[1], True, False, dtype=tf.bool)
        absent = tf.reshape(batch["candidates"], [1, -1]) < 0  # an item may have fewer negatives than others
        logits = tf.where((also_right & ~own) | absent, MASKED_LOGIT, logits)
        nll = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        right = tf.cast(tf.argmax(logits, -1, tf.int32) == targets, tf.float32)
        return {self.loss: tf.reduce_sum(nll), "accuracy": tf.reduce_sum(right)}


class PairsObjective(ContrastiveObjective):
    """Finds the pair of each text among all pairs and negatives of the batch (arXiv 1705.00652)."""

    needed_columns = ("pair",)

    def items(self, examples: Sequence[EmbeddingExample]) -> list[Item]:
        """Returns each text with its pair and its negatives."""
        return [(example.text, example.pair or "", *negatives_of(example)) for example in examples]

    def can_measure(self, example: EmbeddingExample) -> bool:
        """Returns whether an example has a pair without a score, since pairs with low scores are not similar."""
        return super().can_measure(example) and example.score is None


class UnsupervisedObjective(ContrastiveObjective):
    """Finds each text among the texts of the batch, when it is encoded again with different dropout (SimCSE).

    The method is that of arXiv 2104.08821.
    """

    def items(self, examples: Sequence[EmbeddingExample]) -> list[Item]:
        """Returns each distinct text and pair, twice."""
        texts = dict.fromkeys(text for e in examples for text in (e.text, e.pair) if text is not None)
        return [(text, text) for text in texts]


class TripletsObjective(EmbeddingObjective):
    """Makes cosine(text, pair) larger than cosine(text, negative) by a margin.

    Args:
        margin: The margin.
    """

    loss = "triplet_loss"
    needed_columns = ("pair", "negative")

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def items(self, examples: Sequence[EmbeddingExample]) -> list[Item]:
        """Returns each text with its pair and a negative; several items for a text with several negatives."""
        return [(e.text, e.pair or "", negative) for e in examples for negative in negatives_of(e)]

    def targets(self, examples: Sequence[EmbeddingExample], items: Sequence[Item]) -> dict[str, np.ndarray | Ragged]:
        """Returns no targets."""
        return {}

    def loss_sums(self, vectors: tf.Tensor, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over items. "accuracy" counts texts that are nearer to their pair than to their negative."""
        cosines = tf.einsum("bh,bch->bc", vectors[:, 0], vectors[:, 1:])
        short = cosines[:, 1] - cosines[:, 0]
        right = tf.cast(short < 0, tf.float32)
        return {self.loss: tf.reduce_sum(tf.nn.relu(short + self.margin)), "accuracy": tf.reduce_sum(right)}


class ScoresObjective(EmbeddingObjective):
    """Minimizes the squared error between cosines and scores, which are scaled to [0, 1] (arXiv 1908.10084).

    Args:
        score_range: The smallest and the largest training score.
    """

    loss = "squared_error"
    has_accuracy = False
    needed_columns = ("pair", "score")

    def __init__(self, score_range: Sequence[float]) -> None:
        self.low, self.high = score_range

    def items(self, examples: Sequence[EmbeddingExample]) -> list[Item]:
        """Returns each text with its pair."""
        return [(example.text, example.pair or "") for example in examples]

    def targets(self, examples: Sequence[EmbeddingExample], items: Sequence[Item]) -> dict[str, np.ndarray | Ragged]:
        """Returns "scores", float32 [items]."""
        scores = [((example.score or 0.0) - self.low) / (self.high - self.low) for example in examples]
        return {"scores": np.array(scores, np.float32)}

    def loss_sums(self, vectors: tf.Tensor, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the sum of the loss over items."""
        cosines = tf.reduce_sum(vectors[:, 0] * vectors[:, 1], -1)
        return {self.loss: tf.reduce_sum(tf.square(cosines - batch["scores"]))}
