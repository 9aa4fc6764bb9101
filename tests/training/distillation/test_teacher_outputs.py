import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.tasks.protocol.soft_outputs import CANDIDATES, CLASSES, PLACES, VECTORS, SoftOutput
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows
from kbert.training.data.batches import LengthBucketedBatches
from kbert.training.distillation.teacher_outputs import TeacherOutputs


def rows_of(texts, sizes=None):
    ids = Ragged.of(texts, np.int32)
    return TrainingRows(ids, Ragged(np.zeros_like(ids.values), ids.lengths), {}, None if sizes is None else sizes)


SINGLE = rows_of([[5, 6, 7], [8, 9], [10, 11, 12, 13]])
GROUPS = rows_of([[5, 6, 7], [8, 9], [10, 11, 12, 13]], np.array([2, 1]))


def stored(outputs, model, kinds, relations=False):
    outputs.compute(model, kinds, sequence_length=8, pad_id=0, relations=relations)
    return outputs.targets(kinds, relations=relations)


def test_outputs_are_stored_by_item_and_by_token(tmp_path):
    def model(batch):
        ids = tf.cast(batch["input_word_ids"], tf.float32)
        return {
            "item": tf.stack([ids[:, 0], -ids[:, 0]], 1),
            "token": tf.stack([ids, -ids], -1),
            "place": 2 * ids,
            "qkv": tf.stack([ids, ids + 0.5, -ids], -1),
        }

    kinds = {"item": SoftOutput(CLASSES), "token": SoftOutput(CLASSES), "place": SoftOutput(PLACES)}
    found = stored(TeacherOutputs(tmp_path, "teacher", SINGLE), model, kinds, relations=True)
    flat = np.array([5, 6, 7, 8, 9, 10, 11, 12, 13])
    assert found["teacher_item"].tolist() == [[5, -5], [8, -8], [10, -10]]
    assert found["teacher_token"].values.tolist() == [[each, -each] for each in flat]
    assert found["teacher_place"].values.tolist() == (2 * flat).tolist()
    assert found["teacher_qkv"].values.tolist() == [[each, each + 0.5, -each] for each in flat]
    assert found["teacher_qkv"].values.dtype == np.float16
    assert found["teacher_token"].by_token
    # Batches read them from the files.
    rows = TrainingRows(SINGLE.ids, SINGLE.type_ids, found)
    batch = LengthBucketedBatches(rows, batch_size=2, steps=1, sequence_length=8).batch(np.array([1, 0]))
    assert batch["teacher_token"].shape == (2, 8, 2)
    assert batch["teacher_token"][0, :3].tolist() == [[8, -8], [9, -9], [0, 0]]
    assert batch["teacher_place"][1, :4].tolist() == [10, 12, 14, 0]


def test_outputs_of_the_rows_of_an_item(tmp_path):
    def model(batch):
        ids = tf.cast(batch["input_word_ids"], tf.float32)
        flat = tf.reshape(ids, [-1, tf.shape(ids)[2]])
        return {"logits": ids[:, :, 0], "vector": ids[:, :, :2], "qkv": tf.stack([flat, flat, flat], -1)}

    kinds = {"logits": SoftOutput(CANDIDATES), "vector": SoftOutput(VECTORS)}
    found = stored(TeacherOutputs(tmp_path, "teacher", GROUPS), model, kinds, relations=True)
    assert found["teacher_logits"].values.tolist() == [5, 8, 10]
    assert found["teacher_logits"].lengths.tolist() == [2, 1]
    assert found["teacher_vector"].values.tolist() == [[5, 6], [8, 9], [10, 11]]
    assert found["teacher_qkv"].values[:, 0].tolist() == [5, 6, 7, 8, 9, 10, 11, 12, 13]
    rows = TrainingRows(GROUPS.ids, GROUPS.type_ids, found, GROUPS.group_sizes)
    batch = LengthBucketedBatches(rows, batch_size=2, steps=1, sequence_length=8).batch(np.array([0, 1]))
    assert batch["teacher_logits"].tolist() == [[5, 8], [10, 0]]
    assert batch["teacher_vector"].tolist() == [[[5, 6], [8, 9]], [[10, 11], [0, 0]]]
    assert batch["teacher_qkv"].shape == (2, 2, 8, 3)


def test_outputs_of_the_same_teacher_and_rows_are_used_again(tmp_path):
    folder = tmp_path / "outputs"
    assert not TeacherOutputs(folder, "teacher", SINGLE).is_complete
    kinds = {"logits": SoftOutput(CLASSES)}
    stored(TeacherOutputs(folder, "teacher", SINGLE), lambda batch: {"logits": tf.zeros([1, 2])}, kinds)
    assert TeacherOutputs(folder, "teacher", SINGLE).is_complete
    assert not TeacherOutputs(folder, "other", SINGLE).is_complete
    assert not TeacherOutputs(folder, "teacher", rows_of([[5, 6, 7], [8, 9], [10, 11, 12, 14]])).is_complete
    (folder / "logits.npy").unlink()
    assert not TeacherOutputs(folder, "teacher", SINGLE).is_complete
    TeacherOutputs(folder, "teacher", SINGLE).remove()
    assert not folder.exists()


def test_a_folder_with_other_files_is_refused(tmp_path):
    outputs = TeacherOutputs(tmp_path, "teacher", SINGLE)
    outputs.check_folder()
    (tmp_path / "train.csv").touch()
    with pytest.raises(UsageError, match=r"^teacher_outputs must be a folder .* Received: .*, which holds train\.csv$"):
        outputs.check_folder()
