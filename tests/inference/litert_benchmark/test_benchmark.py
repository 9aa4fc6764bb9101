import importlib.util
import os

import pytest
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from kbert.errors import DataError, UsageError
from kbert.inference.litert_benchmark.benchmark import bench_litert
from kbert.inference.litert_benchmark.options import BenchLitertOptions
from kbert.options import OptionError

FAST = {"threads": [1], "runs": 3}


def test_a_file_is_measured(lookup_file):
    benchmark = bench_litert(lookup_file, threads=[1, 2], runs=12)
    assert benchmark.size == lookup_file.stat().st_size
    assert benchmark.weights["float32"] == 4 * (7 * 16 + 16 * 16)
    assert benchmark.size == sum(benchmark.weights.values()) + benchmark.other
    (signature,) = benchmark.signatures.values()
    assert signature.inputs == {"input_word_ids": [1, 8]}
    assert (signature.operations, signature.partitions, signature.outside) == (2, 1, {"GATHER": 1})
    assert [(row.threads, row.runs) for row in signature.latencies] == [(1, 12), (2, 12)]
    for row in signature.latencies:
        assert 0 < row.p50_ms <= row.p90_ms


def test_the_time_of_measuring_replaces_the_number_of_runs(lookup_file):
    signature = bench_litert(lookup_file, threads=[1], seconds=1e-9).signatures["serving_default"]
    assert signature.latencies[0].runs == 10
    signature = bench_litert(lookup_file, threads=[1], seconds=0.2).signatures["serving_default"]
    assert signature.latencies[0].runs > 10


def test_memory_is_that_of_the_model_without_tensorflow(tmp_path, monkeypatch, write_model):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("raise ImportError('not in this process')\n")
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    matrix = tf.random.stateless_normal([2048, 2048], [0, 0])
    path = write_model(lambda x: {"y": x @ matrix}, tf.TensorSpec([1, 2048], tf.float32, name="x"))
    benchmark = bench_litert(path, **FAST)
    assert benchmark.weights["float32"] == 4 * 2048 * 2048
    row = benchmark.signatures["serving_default"].latencies[0]
    if row.peak_memory is None:
        pytest.skip("this system does not tell the memory of a process")
    assert 5e6 < row.memory_before < 150e6  # TensorFlow takes 400 MB
    # The weights lie in memory at least once, in the layout of XNNPACK, and at most twice.
    assert 4 * 2048 * 2048 <= row.peak_memory - row.memory_before < 3 * 4 * 2048 * 2048


def test_weights_of_each_dtype_are_counted(write_model):
    matrix, bias = tf.random.stateless_normal([64, 32], [0, 0]), tf.random.stateless_normal([32], [0, 1])
    spec = tf.TensorSpec([1, 64], tf.float32, name="x")
    dynamic = bench_litert(write_model(lambda x: {"y": x @ matrix + bias}, spec, quantize="dynamic"), **FAST)
    assert (dynamic.weights["int8"], dynamic.weights["float32"]) == (64 * 32, 4 * 32)
    halves = bench_litert(write_model(lambda x: {"y": x @ matrix + bias}, spec, quantize="float16"), **FAST)
    assert (halves.weights["float16"], "float32" in halves.weights) == (2 * (64 * 32 + 32), False)


def test_all_signatures_are_measured_unless_one_is_chosen(two_signatures_file):
    benchmark = bench_litert(two_signatures_file, **FAST)
    assert {name: (each.inputs, each.operations, each.outside) for name, each in benchmark.signatures.items()} == {
        "long": ({"input_word_ids": [1, 16]}, 2, {"GATHER": 1}),
        "short": ({"input_word_ids": [1, 8]}, 3, {"GATHER": 1, "ARG_MAX": 1}),
    }
    # The graphs share the table and the matrix.
    assert benchmark.weights["float32"] == 4 * (7 * 16 + 16 * 16)
    assert list(bench_litert(two_signatures_file, signature="short", **FAST).signatures) == ["short"]


def test_operations_of_loops_are_counted(write_model):
    matrix = tf.eye(16)

    def step(count, x):
        return count + 1, tf.gather(x @ matrix, [3, 2, 1, 0])

    def function(x):
        return {"y": tf.while_loop(lambda count, x: count < 3, step, [0, x])[1]}

    path = write_model(function, tf.TensorSpec([4, 16], tf.float32, name="x"))
    signature = bench_litert(path, **FAST).signatures["serving_default"]
    # The condition has the LESS. Of the body, XNNPACK computes the product, and not the sum of whole numbers.
    assert signature.outside == {"WHILE": 1, "LESS": 1, "ADD": 1, "GATHER": 1}
    assert (signature.operations, signature.partitions) == (5, 1)


def test_a_file_without_signatures_is_measured(tmp_path, lookup_file):
    model = flatbuffer_utils.read_model(str(lookup_file))
    name = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].name.decode()
    model.signatureDefs = []
    path = tmp_path / "model.tflite"
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    benchmark = bench_litert(path, **FAST)
    assert benchmark.signatures["serving_default"].inputs == {name: [1, 8]}
    assert benchmark.signatures["serving_default"].outside == {"GATHER": 1}


def test_unknown_lengths_must_be_given(unknown_length_file):
    with pytest.raises(OptionError) as caught:
        bench_litert(unknown_length_file, **FAST)
    assert str(caught.value) == (
        "expected inputs of fixed shapes, or sequence_length. Received: input_word_ids [?, ?]; add sequence_length=128"
    )
    signature = bench_litert(unknown_length_file, sequence_length=5, **FAST).signatures["serving_default"]
    assert signature.inputs == {"input_word_ids": [1, 5]}
    assert (signature.operations, signature.partitions, signature.outside) == (2, 1, {"GATHER": 1})


def test_a_length_is_refused_where_the_file_fixes_it(lookup_file):
    with pytest.raises(OptionError, match=r"^sequence_length is for inputs whose shapes the file does not fix\. Rec"):
        bench_litert(lookup_file, sequence_length=8, **FAST)


def test_an_unknown_signature_is_refused(two_signatures_file):
    with pytest.raises(OptionError, match=r"^signature must be one of long, short\. Received: signature='tokens'$"):
        bench_litert(two_signatures_file, signature="tokens", **FAST)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^expected a \.tflite file\. Received: .*none\.tflite, which does not exist"):
        bench_litert(tmp_path / "none.tflite")


@pytest.mark.parametrize("content", [b"", b"TFL3", b"a text that is no model"])
def test_another_format_is_refused(tmp_path, content):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        bench_litert(path)
    assert str(caught.value) == (f"{path}: expected a LiteRT model (.tflite). Received: a file in another format")


def test_a_damaged_file_is_refused(tmp_path, lookup_file):
    path = tmp_path / "model.tflite"
    path.write_bytes(lookup_file.read_bytes()[:500])
    with pytest.raises(DataError, match=r"model\.tflite: expected a LiteRT model that runs\. Received: "):
        bench_litert(path)


def test_a_model_that_fails_is_refused(write_model):
    table = tf.eye(4)
    path = write_model(
        lambda x: {"y": tf.gather(table, x - 1)}, tf.TensorSpec([2], tf.int32, name="x")
    )  # the inputs are 0, and there is no row -1
    with pytest.raises(DataError, match=r"Received: .*gather index out of bounds"):
        bench_litert(path, **FAST)


def test_ai_edge_litert_must_be_installed(monkeypatch, lookup_file):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "ai_edge_litert" else found(name, *rest)
    )
    with pytest.raises(UsageError, match=r"kbert needs ai-edge-litert: pip install ai-edge-litert$"):
        bench_litert(lookup_file)


@pytest.mark.parametrize("threads", [[0], [1.5], ["2"], 2, [True]])
def test_numbers_of_threads_are_checked(threads):
    with pytest.raises(
        OptionError, match=r"^threads must be (at least 1|a list of whole numbers)\. Received: threads="
    ):
        BenchLitertOptions(threads=threads)
