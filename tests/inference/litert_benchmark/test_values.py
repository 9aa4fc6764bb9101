import numpy as np
import pytest

from kbert.inference.litert_benchmark.values import made_up_values


def test_token_ids_are_random_rows_of_the_table():
    values = made_up_values("input_word_ids", "int32", [1, 500], 7)
    assert values.dtype == np.int32
    assert values.shape == (1, 500)
    assert set(values.flat) == {0, 1, 2, 3, 4, 5, 6}


def test_token_ids_are_0_if_the_table_is_not_known():
    assert not made_up_values("input_word_ids", "int32", [1, 8], None).any()


def test_no_position_is_padding():
    np.testing.assert_array_equal(made_up_values("input_mask", "int32", [1, 3], None), [[1, 1, 1]])
    np.testing.assert_array_equal(made_up_values("input_type_ids", "int32", [1, 3], 2), [[0, 0, 0]])


@pytest.mark.parametrize("name", ["code_points", "code_points_pair"])
def test_code_points_are_words_of_five_letters(name):
    values = made_up_values(name, "int32", [1, 20], 4352)
    words = "".join(map(chr, values[0])).split(" ")
    assert [len(word) for word in words] == [5, 5, 5, 2]
    assert all(word.isalpha() and word.islower() for word in words)


def test_other_inputs_are_0():
    values = made_up_values("image", "float32", [2, 3], None)
    assert values.dtype == np.float32
    assert not values.any()


def test_inputs_of_text_are_refused():
    with pytest.raises(ValueError, match=r"^the input text takes bytes instead of numbers$"):
        made_up_values("text", "bytes", [1], None)
