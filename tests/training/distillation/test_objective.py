import numpy as np
import pytest
import tensorflow as tf

from kbert.tasks.classification import ClassificationTask
from kbert.tasks.protocol.soft_outputs import CANDIDATES, CLASSES, LABELS, NUMBER, PLACES, VECTORS, SoftOutput
from kbert.training.distillation.objective import DistillationObjective, soft_loss, soft_weight


def batch_of(mask):
    return {"input_mask": tf.constant(mask, tf.int32)}


def loss(kind, student, teacher, mask, temperature=1.0, **settings):
    output = SoftOutput(kind, **settings)
    teacher, batch = tf.constant(teacher, tf.float32), batch_of(mask)
    total = soft_loss(output, tf.constant(student, tf.float32), teacher, batch, temperature)
    return float(total), float(soft_weight(output, teacher, batch))


MASK = [[1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (CLASSES, [[1.0, 2.0], [3.0, -1.0]]),
        (CLASSES, [[[1.0, 2.0], [0.0, 1.0]], [[3.0, -1.0], [9.0, 9.0]]]),
        (LABELS, [[1.0, 2.0], [3.0, -1.0]]),
        (PLACES, [[1.0, 2.0], [3.0, -1.0]]),
        (NUMBER, [[1.0], [2.0]]),
        (VECTORS, [[1.0, 2.0], [3.0, -1.0]]),
    ],
)
def test_a_student_that_equals_its_teacher_has_no_loss(kind, values):
    total, _ = loss(kind, values, values, MASK, temperature=3.0)
    assert total == pytest.approx(0.0, abs=1e-5)


def test_distributions_are_compared_by_their_divergence_at_a_temperature():
    # The teacher has the probabilities 0.8 and 0.2 at the temperature 2, the student 0.5 and 0.5.
    teacher = 2 * np.log([[0.8, 0.2]])
    total, weight = loss(CLASSES, [[0.0, 0.0]], teacher, [[1]], temperature=2.0)
    divergence = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5)
    assert (total, weight) == (pytest.approx(4 * divergence, rel=1e-5), 1.0)


def test_padding_is_not_compared():
    teacher = [[[1.0, 2.0], [0.0, 1.0]], [[3.0, -1.0], [9.0, 9.0]]]
    student = [[[1.0, 2.0], [0.0, 1.0]], [[3.0, -1.0], [-7.0, 9.0]]]
    assert loss(CLASSES, student, teacher, MASK) == (pytest.approx(0.0, abs=1e-6), 3.0)
    assert loss(PLACES, [[1.0, 2.0], [5.0, 7.0]], [[1.0, 2.0], [5.0, -9.0]], MASK) == (
        pytest.approx(0.0, abs=1e-6),
        2.0,
    )


def test_missing_candidates_are_not_compared():
    mask = [[[1, 1], [1, 0]], [[1, 1], [0, 0]]]
    student, teacher = [[1.0, 2.0], [5.0, 7.0]], [[1.0, 2.0], [5.0, -9.0]]
    assert loss(CANDIDATES, student, teacher, mask) == (pytest.approx(0.0, abs=1e-6), 2.0)


def test_labels_are_compared_one_by_one():
    teacher = np.log([[0.9 / 0.1, 0.5 / 0.5]])
    total, weight = loss(LABELS, [[0.0, 0.0]], teacher, [[1]])
    assert total == pytest.approx(0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5), rel=1e-5)
    assert weight == 2.0


def test_numbers_are_compared_in_their_unit():
    assert loss(NUMBER, [[5.0]], [[1.0]], [[1]], scale=2.0) == (4.0, 1.0)


def test_vectors_of_different_sizes_are_compared_by_their_neighbours():
    same, _ = loss(VECTORS, [[1.0], [1.0], [-1.0]], [[0.0, 1.0], [0.0, 2.0], [0.0, -1.0]], [[1]] * 3)
    other, weight = loss(VECTORS, [[1.0], [-1.0], [1.0]], [[0.0, 1.0], [0.0, 2.0], [0.0, -1.0]], [[1]] * 3)
    assert same == pytest.approx(0.0, abs=1e-5)
    assert other > 10.0
    assert weight == 3.0


def objective(**changes):
    settings = {"temperature": 1.0, "logit_weight": 1.0, "relation_weight": 0.0, "label_weight": 0.5}
    more = {"relation_heads": 1, "some_unlabelled": True}
    return DistillationObjective(ClassificationTask(["a", "b"]), **settings | more | changes)


def test_items_without_labels_have_no_loss_of_labels():
    batch = {
        **batch_of([[1], [1], [1]]),
        "labels": tf.constant([0, 0, 0]),
        "has_label": tf.constant([True, False, True]),
        "teacher_logits": tf.constant([[0.0, 0.0]] * 3),
    }
    outputs = {"logits": tf.constant([[0.0, 0.0], [-50.0, 50.0], [0.0, 0.0]])}
    sums, weights = objective().loss_sums(outputs, batch), objective().loss_weights(batch)
    assert float(sums["cross_entropy"]) == pytest.approx(0.5 * 2 * np.log(2))
    assert float(weights["cross_entropy"]) == 2.0
    assert float(sums["soft_loss"]) == pytest.approx(50 - np.log(2), rel=1e-4)
    assert float(weights["soft_loss"]) == 3.0


def test_a_batch_without_labels_has_a_finite_loss():
    batch = {
        **batch_of([[1]]),
        "labels": tf.constant([0]),
        "has_label": tf.constant([False]),
        "teacher_logits": tf.constant([[0.0, 0.0]]),
    }
    sums = objective().loss_sums({"logits": tf.constant([[1.0, 0.0]])}, batch)
    assert (float(sums["cross_entropy"]), float(objective().loss_weights(batch)["cross_entropy"])) == (0.0, 1.0)


def test_losses_without_weight_are_left_out():
    assert objective().losses == ("soft_loss", "cross_entropy")
    assert objective(logit_weight=0.0, relation_weight=2.0, label_weight=0.0).losses == ("relation_loss",)
