import pytest
import tensorflow as tf

from kbert.inference.litert_benchmark.operations import Operations, count_operations, split_operations


def node(name, inputs, outputs):
    return {"op_name": name, "inputs": inputs, "outputs": outputs}


def test_a_partition_has_the_operations_between_its_inputs_and_its_outputs():
    nodes = [
        node("CAST", [0], [1]),
        node("ADD", [1, 8], [2]),
        node("MUL", [2, 8], [3]),
        node("ARG_MAX", [3], [4]),
        node("FULLY_CONNECTED", [3, 9, -1], [5]),
        node("GATHER", [5, 4], [6]),
        node("TANH", [6], [7]),
        node("DELEGATE", [1, 8, 9], [3, 5]),
        node("DELEGATE", [6], [7]),
    ]
    assert split_operations(nodes) == Operations(7, 2, {"CAST": 1, "ARG_MAX": 1, "GATHER": 1})


def test_without_xnnpack_all_operations_are_outside():
    nodes = [node("ADD", [0, 1], [2]), node("ADD", [2, 1], [3]), node("MUL", [3, 3], [4])]
    assert split_operations(nodes) == Operations(3, 0, {"ADD": 2, "MUL": 1})


def test_operations_of_graphs_are_added():
    both = Operations(5, 1, {"GATHER": 2, "CAST": 1}) + Operations(2, 2, {"GATHER": 1})
    assert both == Operations(7, 3, {"GATHER": 3, "CAST": 1})


def test_operations_outside_split_the_others_into_partitions(write_model):
    matrix = tf.eye(16)

    def function(x):
        largest = tf.argmax(tf.nn.relu(x @ matrix), 0, output_type=tf.int32)  # XNNPACK has no ARG_MAX, and no GATHER
        return {"y": tf.nn.softmax(tf.gather(x, largest) @ matrix)}

    path = write_model(function, tf.TensorSpec([4, 16], tf.float32, name="x"))
    # The RELU is a part of the first FULLY_CONNECTED; the second has its own SOFTMAX.
    assert count_operations(path.read_bytes(), 0, {}) == Operations(5, 2, {"ARG_MAX": 1, "GATHER": 1})


def test_each_graph_of_a_file_has_its_own_operations(two_signatures_file):
    content = two_signatures_file.read_bytes()
    counted = [count_operations(content, graph, {}) for graph in (0, 1)]
    assert sorted(counted, key=lambda each: each.total) == [
        Operations(2, 1, {"GATHER": 1}),
        Operations(3, 1, {"GATHER": 1, "ARG_MAX": 1}),
    ]


def test_a_graph_of_unknown_length_is_counted_with_a_length(unknown_length_file):
    content = unknown_length_file.read_bytes()
    assert count_operations(content, 0, {0: [1, 5]}) == Operations(2, 1, {"GATHER": 1})


def test_other_content_is_refused():
    with pytest.raises(ValueError, match="not a valid Flatbuffer"):
        count_operations(b"no LiteRT model at all, but some text", 0, {})
