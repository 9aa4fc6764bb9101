"""The losses of distillation: the outputs of the teacher, the relations of its tokens, and the labels."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from kbert import features
from kbert.layers.heads import MASKED_LOGIT
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.soft_outputs import CANDIDATES, CLASSES, LABELS, NUMBER, PLACES, VECTORS, SoftOutput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.training.distillation.relations import QKV, relation_loss

SOFT_LOSS, RELATION_LOSS = "soft_loss", "relation_loss"
HAS_LABEL = "has_label"
"""The target that says whether an item has labels, bool [B]."""
_COSINE_TEMPERATURE = 0.05
"""The divisor of the cosines of vectors."""


def teacher_target(output: str) -> str:
    """Returns the name of the target that holds an output of the teacher."""
    return f"teacher_{output}"


@dataclasses.dataclass(frozen=True)
class DistillationObjective:
    """The weighted losses of a student; an `Objective` for the training loop.

    The logged values of the losses include their weights.

    Args:
        task: The task of both models.
        temperature: The divisor of logits.
        logit_weight: The weight of the loss between outputs.
        relation_weight: The weight of the loss between relations.
        label_weight: The weight of the losses of the task.
        relation_heads: The number of parts for relations.
        some_unlabelled: Whether some items have no labels.
    """

    task: TrainableTask[Any]
    temperature: float
    logit_weight: float
    relation_weight: float
    label_weight: float
    relation_heads: int
    some_unlabelled: bool

    @property
    def losses(self) -> tuple[str, ...]:
        """The names of the losses whose weights are above 0."""
        return (
            *((SOFT_LOSS,) if self.logit_weight else ()),
            *((RELATION_LOSS,) if self.relation_weight else ()),
            *(self.task.losses if self.label_weight else ()),
        )

    @property
    def needs_whole_batch(self) -> bool:
        """Whether a loss compares the examples of a batch."""
        return self.task.needs_whole_batch

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.tasks.protocol.objective.Objective."""
        sums: dict[str, tf.Tensor] = {}
        if self.logit_weight:
            soft = self.task.soft_outputs
            each = [
                soft_loss(kind, outputs[name], batch[teacher_target(name)], batch, self.temperature)
                for name, kind in soft.items()
            ]
            sums[SOFT_LOSS] = self.logit_weight * tf.add_n(each) / len(soft)
        if self.relation_weight:
            mask = _row_mask(batch)
            teacher = batch[teacher_target(QKV)]
            teacher = tf.reshape(teacher, [-1, tf.shape(mask)[1], teacher.shape[-1]])
            divergence = relation_loss(outputs[QKV], teacher, mask, self.relation_heads)
            sums[RELATION_LOSS] = self.relation_weight * divergence
        if self.label_weight:
            for name, value in self._own_sums(outputs, batch).items():
                sums[name] = self.label_weight * value if name in self.task.losses else value
        return sums

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.tasks.protocol.objective.Objective."""
        weights: dict[str, tf.Tensor] = {}
        if self.logit_weight:
            name, kind = next(iter(self.task.soft_outputs.items()))
            weights[SOFT_LOSS] = tf.maximum(soft_weight(kind, batch[teacher_target(name)], batch), 1.0)
        if self.relation_weight:
            weights[RELATION_LOSS] = tf.maximum(tf.reduce_sum(tf.cast(_row_mask(batch), tf.float32)), 1.0)
        if self.label_weight:
            own = self.task.loss_weights(self._labelled({}, batch)[1])
            # A batch may have no item with labels. Its sums are 0 then.
            weights |= {name: tf.where(value > 0, value, tf.ones_like(value)) for name, value in own.items()}
        return weights

    def _own_sums(self, outputs: Tensors, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the sums of the task over the items that have labels; 0 if there are none in the batch."""
        kept, ours = self._labelled(outputs, batch)
        if not self.some_unlabelled:
            return self.task.loss_sums(kept, ours)
        zeros = {name: tf.constant(0.0) for name in self.task.loss_weights(ours)}
        return tf.cond(tf.reduce_any(batch[HAS_LABEL]), lambda: self.task.loss_sums(kept, ours), lambda: zeros)

    def _labelled(self, outputs: Tensors, batch: Tensors) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Returns the outputs and the batch of the items that have labels."""
        if not self.some_unlabelled:
            return dict(outputs), dict(batch)
        chosen = batch[HAS_LABEL]
        soft = self.task.soft_outputs
        # Other outputs, such as the tables of a CRF, have no dimension for items.
        kept = {name: tf.boolean_mask(value, chosen) if name in soft else value for name, value in outputs.items()}
        ours = {
            name: tf.boolean_mask(value, chosen) for name, value in batch.items() if not name.startswith("teacher_")
        }
        return kept, ours


def soft_loss(kind: SoftOutput, student: tf.Tensor, teacher: tf.Tensor, batch: Tensors, temperature: float) -> Any:
    """Returns the difference between an output of the student and of the teacher, summed over what is compared.

    Distributions are compared by the Kullback-Leibler divergence times the square of the temperature, with which the
    gradients do not depend on the temperature (arXiv 1503.02531). Numbers are compared by their squared error.

    Args:
        kind: What the output means.
        student: The output of the student.
        teacher: The output of the teacher, of the same shape; vectors may have another size.
        batch: The features of the batch.
        temperature: The divisor of logits.
    """
    weights = _weights(kind, teacher, batch)
    if kind.kind == NUMBER:
        return tf.reduce_sum(tf.square((student - teacher) / kind.scale))
    if kind.kind == VECTORS:
        student, teacher = _cosines(student, weights), _cosines(teacher, weights)
        return tf.reduce_sum(_divergence(student, teacher) * tf.reshape(weights, [-1]))
    student, teacher = student / temperature, teacher / temperature
    if kind.kind == LABELS:
        probability = tf.sigmoid(teacher)
        cross = tf.nn.sigmoid_cross_entropy_with_logits(probability, student)
        each = cross - tf.nn.sigmoid_cross_entropy_with_logits(probability, teacher)
        return temperature**2 * tf.reduce_sum(each * weights[..., None])
    if kind.kind in (PLACES, CANDIDATES):
        padding = (1.0 - weights) * MASKED_LOGIT
        return temperature**2 * tf.reduce_sum(_divergence(student + padding, teacher + padding))
    return temperature**2 * tf.reduce_sum(_divergence(student, teacher) * weights)


def soft_weight(kind: SoftOutput, teacher: tf.Tensor, batch: Tensors) -> tf.Tensor:
    """Returns the number of the units that `soft_loss` sums over: items, tokens, labels or vectors, float32 scalar."""
    if kind.kind in (PLACES, CANDIDATES, NUMBER):
        return tf.cast(tf.shape(teacher)[0], tf.float32)
    count = tf.reduce_sum(_weights(kind, teacher, batch))
    return count * tf.cast(tf.shape(teacher)[-1], tf.float32) if kind.kind == LABELS else count


def _weights(kind: SoftOutput, teacher: tf.Tensor, batch: Tensors) -> tf.Tensor:
    """Returns 1 for what exists and 0 for padding, float32; the shape is that of the output without its last axis."""
    mask = batch[features.INPUT_MASK.name]
    if kind.kind == PLACES or (kind.kind in (CLASSES, LABELS) and teacher.shape.rank == 3):
        return tf.cast(mask, tf.float32)
    if kind.kind == CANDIDATES or (kind.kind == VECTORS and teacher.shape.rank == 3):
        return tf.cast(tf.reduce_any(mask > 0, -1), tf.float32)
    return tf.ones(tf.shape(teacher)[:1])


def _row_mask(batch: Tensors) -> tf.Tensor:
    """Returns the mask of the rows that the encoder reads, int32 [R, S]."""
    mask = batch[features.INPUT_MASK.name]
    return tf.reshape(mask, [-1, tf.shape(mask)[-1]])


def _divergence(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns the divergence of distributions over the last axis, given their logits: [..., C] → float32 [...]."""
    log_student, log_teacher = tf.nn.log_softmax(student), tf.nn.log_softmax(teacher)
    return tf.reduce_sum(tf.exp(log_teacher) * (log_teacher - log_student), -1)


def _cosines(vectors: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the cosines between all vectors of a batch as logits, float32 [N, N]; a vector is not its own neighbour.

    Args:
        vectors: The vectors, float32 [..., H].
        weights: 1 for a vector and 0 for padding, float32 [...].
    """
    flat = tf.math.l2_normalize(tf.reshape(vectors, [-1, vectors.shape[-1]]), -1)
    there = tf.reshape(weights, [-1])
    logits = tf.matmul(flat, flat, transpose_b=True) / _COSINE_TEMPERATURE
    hidden = tf.eye(tf.shape(flat)[0]) + (1.0 - there)[None]
    return tf.where(hidden > 0, MASKED_LOGIT, logits)
