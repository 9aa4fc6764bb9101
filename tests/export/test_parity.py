import numpy as np
import pytest

from kbert.errors import ParityError
from kbert.export.parity import check_parity, sample_texts

EXPECTED = {"label": np.array([b"a", b"b"], object), "probabilities": np.float32([[0.25, 0.75], [0.5, 0.5]])}


def check(received, tolerance=1e-3):
    return check_parity(EXPECTED, received, tolerance=tolerance, what="the export")


def test_the_largest_difference_is_given():
    received = EXPECTED | {"probabilities": EXPECTED["probabilities"] + np.float32([[0, 0], [0, -(2**-11)]])}
    assert check(received) == 2**-11
    assert check(EXPECTED) == 0


def test_further_outputs_are_of_no_account():
    assert check(EXPECTED | {"more": np.zeros(3)}) == 0


@pytest.mark.parametrize("value", [0.502, float("nan")])
def test_numbers_that_differ(value):
    received = EXPECTED | {"probabilities": np.float32([[0.25, 0.75], [0.5, value]])}
    with pytest.raises(
        ParityError,
        match=r"^the export: probabilities must differ .* by at most 0\.001\. Received: .*; nothing was written$",
    ):
        check(received)


def test_text_that_differs():
    with pytest.raises(
        ParityError, match=r"^the export: label must equal that of the model\. Received: another; nothing was written$"
    ):
        check(EXPECTED | {"label": np.array([b"a", b"c"], object)})


def test_outputs_that_are_missing_or_of_another_shape():
    with pytest.raises(
        ParityError, match=r"the output label must have the shape \(2,\)\. Received: None; nothing was written$"
    ):
        check({"probabilities": EXPECTED["probabilities"]})
    with pytest.raises(
        ParityError, match=r"probabilities must have the shape \(2, 2\)\. Received: \(2, 1\); nothing was written$"
    ):
        check(EXPECTED | {"probabilities": np.float32([[0.25], [0.5]])})


def test_sample_texts_are_of_many_lengths_and_always_the_same(vocabulary):
    texts = sample_texts(vocabulary, count=5, longest=40)
    assert texts == sample_texts(vocabulary, count=5, longest=40)
    assert [len(text.split()) for text in texts] == [0, 5, 1, 2, 6, 15, 40]
    words = {word for text in texts[2:] for word in text.split()}
    assert words <= set(vocabulary)
    assert not any(word.startswith(("[", "##")) for word in words)
