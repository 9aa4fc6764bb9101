import numpy as np
import pytest

from kbert.serving.batching import rows
from kbert.serving.request_error import RequestError


def texts(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_the_rows_of_several_requests_become_one_array():
    requests = [{"x": np.array([[1, 2]])}, {"x": np.array([[3, 4], [5, 6]])}]
    assert rows.joined(requests, padded=False, size=3)["x"].tolist() == [[1, 2], [3, 4], [5, 6]]
    # Rows that are missing are copies of the first one.
    assert rows.joined(requests, padded=False, size=4)["x"].tolist() == [[1, 2], [3, 4], [5, 6], [1, 2]]
    requests.insert(0, {"x": np.zeros((0, 2), int)})
    assert rows.joined(requests, padded=False, size=4)["x"].tolist() == [[1, 2], [3, 4], [5, 6], [1, 2]]
    assert rows.joined([{"x": texts(b"a")}, {"x": texts(b"b")}], padded=False, size=2)["x"].tolist() == [b"a", b"b"]


def test_arrays_of_several_shapes_are_padded_with_their_first_value():
    requests = [{"x": np.array([[7], [8]])}, {"x": np.array([[1, 2, 3]])}]
    assert rows.joined(requests, padded=True, size=3)["x"].tolist() == [[7, 7, 7], [8, 7, 7], [1, 2, 3]]
    with pytest.raises(
        RequestError, match=r"^Tensors with name 'x' from different tasks have different shapes"
    ) as problem:
        rows.joined(requests, padded=False, size=3)
    assert problem.value.code == "FAILED_PRECONDITION"
    with pytest.raises(RequestError, match="different shapes"):
        rows.joined([{"x": np.zeros((1, 2))}, {"x": np.zeros((1, 2, 2))}], padded=True, size=2)
    with pytest.raises(RequestError, match=r"^Got empty tensor in batch of non-empty tensors\.$"):
        rows.joined([{"x": np.zeros((1, 0))}, {"x": np.zeros((1, 2))}], padded=True, size=2)


def test_lists_are_cut_to_the_longest_of_their_request():
    outputs = {"tags": np.array([[1, 2, 0, 0], [3, 0, 0, 0]]), "count": np.array([2, 1]), "score": np.array([0.5, 1.0])}
    cut = rows.without_padding(outputs, ["tags"], "count")
    assert cut["tags"].tolist() == [[1, 2], [3, 0]]
    assert cut["score"].tolist() == [0.5, 1.0]
    assert rows.without_padding(outputs, [], "")["tags"].shape == (2, 4)


def test_parts_of_a_request_become_one_answer():
    parts = [
        {"tags": np.array([[1, 2]]), "words": np.array([[b"a", b"b"]], object), "n": np.array([2])},
        {"tags": np.array([[3]]), "words": np.array([[b"c"]], object), "n": np.array([1])},
    ]
    whole = rows.stacked(parts)
    assert whole["tags"].tolist() == [[1, 2], [3, 0]]
    assert whole["words"].tolist() == [[b"a", b"b"], [b"c", b""]]
    assert whole["n"].tolist() == [2, 1]
    assert rows.stacked(parts[:1]) == parts[0]


def test_lists_of_lists_of_several_parts_are_padded_in_both():
    parts = [{"roles": np.array([[[1, 2]]])}, {"roles": np.array([[[3], [4]]])}]
    assert rows.stacked(parts)["roles"].tolist() == [[[1, 2], [0, 0]], [[3, 0], [4, 0]]]


def test_the_length_of_a_row():
    assert rows.byte_length({"text": texts(b"abc", b"abcde"), "pair": texts(b"", b"")}) == 5
    assert rows.byte_length({"ids": np.zeros((2, 7), np.int32)}) == 7
    assert rows.byte_length({"ids": np.zeros((0, 7), np.int32)}) == 0
