import pytest

from kbert.errors import ServingError
from kbert.serving.batching.parameters import BatchingParameters, default_parameters, read_parameters


def read(tmp_path, text):
    path = tmp_path / "batching.txt"
    path.write_text(text)
    return read_parameters(path)


def test_the_file_of_tensorflow_serving_is_read(tmp_path):
    text = """
    # comments are allowed
    max_batch_size { value: 128 }
    batch_timeout_micros { value: 1000 }
    max_enqueued_batches { value: 1000000 }
    num_batch_threads { value: 8 }
    thread_pool_name { value: "pool" }
    allowed_batch_sizes: 32
    allowed_batch_sizes: 128
    pad_variable_length_inputs: true
    """
    assert read(tmp_path, text) == BatchingParameters(
        max_batch_size=128,
        batch_timeout_micros=1000,
        max_enqueued_batches=1000000,
        num_batch_threads=8,
        allowed_batch_sizes=(32, 128),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=False,
        max_execution_batch_size=128,
    )


def test_what_the_file_leaves_out_has_the_defaults_of_tensorflow_serving(tmp_path):
    parameters = read(tmp_path, "")
    assert (parameters.max_batch_size, parameters.batch_timeout_micros, parameters.limit) == (1000, 0, 1000)
    assert (parameters.max_enqueued_batches, parameters.enable_large_batch_splitting) == (10, False)


def test_large_requests_are_divided_if_the_file_says_so(tmp_path):
    text = "max_batch_size { value: 100 } max_execution_batch_size { value: 10 }"
    assert read(tmp_path, text).limit == 100
    assert read(tmp_path, text + "enable_large_batch_splitting { value: true }").limit == 10
    assert default_parameters().limit == 32


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("max_batch_size { value: 0 }", "expected max_batch_size of at least 1. Received: 0"),
        ("num_batch_threads { value: -1 }", "expected num_batch_threads of at least 1. Received: -1"),
        ("batch_timeout_micros { value: -5 }", "expected batch_timeout_micros of at least 0. Received: -5"),
        (
            "max_batch_size { value: 4 } max_execution_batch_size { value: 8 }",
            "expected max_execution_batch_size of at most max_batch_size, 4. Received: 8",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 3",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 3; expected 4",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 3 allowed_batch_sizes: 2 allowed_batch_sizes: 4",
            r"expected allowed_batch_sizes that increase from 1 or more. Received: \[3, 2, 4\]",
        ),
        (
            "max_batch_sizes { value: 4 }",
            "Error parsing text-format tensorflow.serving.BatchingParameters: .*max_batch_sizes",
        ),
        ("max_batch_size: 4", "Error parsing text-format tensorflow.serving.BatchingParameters"),
    ],
)
def test_a_bad_file_is_told_in_one_line(tmp_path, text, error):
    with pytest.raises(ServingError, match=rf"^.*batching\.txt: {error}") as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ServingError, match=r"^expected a file of batching parameters\. Received: .*none"):
        read_parameters(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(ServingError, match=r"^expected a file of batching parameters\. Received: .*bytes"):
        read_parameters(tmp_path / "bytes")
