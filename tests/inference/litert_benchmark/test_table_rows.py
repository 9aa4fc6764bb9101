import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from kbert.inference.litert_benchmark.table_rows import selected_rows


def rows_of_inputs(path):
    """The numbers of rows by the names of the inputs."""
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    inputs = [model.SignatureDefs(0).Inputs(place) for place in range(model.SignatureDefs(0).InputsLength())]
    return {each.Name().decode(): selected_rows(model, model.Subgraphs(0), each.TensorIndex()) for each in inputs}


def test_rows_are_those_of_the_smallest_table_behind_reshapes(write_model):
    tokens, types, matrix = tf.eye(9, 4), tf.eye(3, 4), tf.eye(4)

    def function(ids, types_ids, factors):
        both = tf.gather(tokens, tf.reshape(ids, [6])) + tf.gather(types, tf.reshape(types_ids, [6]))
        return {"y": (both + tf.gather(tf.eye(5, 4), tf.reshape(ids, [6]))) @ matrix * factors}

    specs = [tf.TensorSpec([1, 6], tf.int32, name="ids"), tf.TensorSpec([1, 6], tf.int32, name="types_ids")]
    path = write_model(function, *specs, tf.TensorSpec([6, 4], tf.float32, name="factors"))
    assert rows_of_inputs(path) == {"ids": 5, "types_ids": 3, "factors": None}


def test_rows_are_counted_along_the_axis_of_the_selection(write_model):
    columns = tf.eye(4, 11)
    path = write_model(lambda ids: {"y": tf.gather(columns, ids, axis=1)}, tf.TensorSpec([6], tf.int32, name="ids"))
    assert rows_of_inputs(path) == {"ids": 11}


def test_rows_of_int8_tables_are_counted(write_model):
    table, matrix = tf.random.stateless_normal([200, 64], [0, 0]), tf.random.stateless_normal([64, 64], [0, 1])
    path = write_model(
        lambda ids: {"y": tf.gather(table, ids) @ matrix}, tf.TensorSpec([6], tf.int32, name="ids"), quantize="dynamic"
    )
    assert rows_of_inputs(path) == {"ids": 200}
