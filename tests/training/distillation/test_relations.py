import numpy as np
import pytest
import tensorflow as tf

from kbert.models.encoder import BertEncoder
from kbert.tasks.classification import ClassificationTask
from kbert.training.distillation.relations import QKV, RelationModel, relation_loss

MASK = tf.constant([[1, 1, 1], [1, 1, 0]])


def test_equal_relations_have_no_loss_in_any_width():
    rng = np.random.default_rng(0)
    narrow = rng.normal(size=(2, 3, 4)).astype(np.float32)
    # Twice as wide with zeros: the products are the same, divided by a square root of two that is made up for.
    wide = np.concatenate([narrow, np.zeros_like(narrow)], -1) * 2**0.25
    student, teacher = np.concatenate([narrow] * 3, -1), np.concatenate([wide] * 3, -1)
    assert float(relation_loss(student, teacher, MASK, 1)) == pytest.approx(0.0, abs=1e-5)
    assert float(relation_loss(-student[:, ::-1], teacher, MASK, 1)) > 0.1


def test_padding_does_not_change_the_loss():
    rng = np.random.default_rng(1)
    student, teacher = rng.normal(size=(2, 2, 3, 12)).astype(np.float32)
    expected = float(relation_loss(student, teacher, MASK, 2))
    student[1, 2], teacher[1, 2] = 100.0, -100.0
    assert float(relation_loss(student, teacher, MASK, 2)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("skip_padding", [False, True])
def test_the_model_gives_its_queries_keys_and_values(small_config, skip_padding):
    encoder = BertEncoder(small_config, skip_padding=skip_padding)
    model = ClassificationTask(["a", "b"]).build(encoder)
    ids = np.array([[2, 7, 3], [2, 3, 0]], np.int32)
    batch = {"input_word_ids": ids, "input_mask": (ids > 0).astype(np.int32), "input_type_ids": ids * 0}
    tapped = RelationModel(model, 1)
    outputs = tapped(batch)
    np.testing.assert_allclose(outputs["logits"], model(batch)["logits"], atol=1e-6)
    assert outputs[QKV].shape == (2, 3, 96)
    assert {id(each) for each in tapped.trainable_variables} == {id(each) for each in model.trainable_variables}
    # The queries of the second block are those of its own projection of what the first block returns.
    below = BertEncoder(small_config.replace(num_hidden_layers=1), pooled=False)
    assert len(below.weights) < len(encoder.weights)
    for ours, theirs in zip(below.weights, encoder.weights, strict=False):
        if ours.shape == theirs.shape:
            ours.assign(theirs)
    hidden = below(batch)["sequence_output"]
    expected = encoder.blocks[1].attention.qkv(hidden)
    np.testing.assert_allclose(outputs[QKV][0], expected[0], atol=1e-5)
