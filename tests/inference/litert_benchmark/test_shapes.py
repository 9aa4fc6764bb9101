import pytest

from kbert.inference.litert_benchmark.shapes import fixed_shape


@pytest.mark.parametrize(
    ("shape", "sequence_length", "expected"),
    [
        ([1, 128], None, [1, 128]),
        ([], None, []),
        ([-1, -1], 64, [1, 64]),
        ([1, -1], 64, [1, 64]),
        ([-1, 32], 64, [1, 32]),
        ([-1, 4, -1], 64, [1, 4, 64]),
        ([-1], 64, [64]),
        ([-1, 32], None, None),
    ],
)
def test_unknown_sizes_are_a_batch_of_one_and_the_sequence_length(shape, sequence_length, expected):
    assert fixed_shape(shape, sequence_length) == expected
