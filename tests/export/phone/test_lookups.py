import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kbert.export.phone.lookups import with_embedding_lookups
from kbert.inference.litert_model import litert_model

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)


def operations(content):
    return [operation["op_name"] for operation in Interpreter(model_content=content)._get_ops_details()]


def answer(content, rows):
    return Interpreter(model_content=content).get_signature_runner()(rows=np.int32(rows))["found"].tolist()


@pytest.mark.long
def test_a_gather_of_a_constant_table_becomes_a_lookup():
    content = litert_model(
        lambda rows: {"found": tf.raw_ops.GatherV2(params=TABLE, indices=rows, axis=0)},
        [tf.TensorSpec([2], tf.int32, "rows")],
    )
    assert operations(content) == ["GATHER"]
    changed = with_embedding_lookups(content)
    assert operations(changed) == ["EMBEDDING_LOOKUP"]
    assert answer(changed, [3, 0]) == answer(content, [3, 0]) == [[9.0, 10.0, 11.0], [0.0, 1.0, 2.0]]


@pytest.mark.long
def test_other_gathers_are_left():
    content = litert_model(
        lambda rows: {"found": tf.raw_ops.GatherV2(params=TABLE, indices=rows, axis=1)},
        [tf.TensorSpec([2], tf.int32, "rows")],
    )
    assert operations(with_embedding_lookups(content)) == ["GATHER"]
