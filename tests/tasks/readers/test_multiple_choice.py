import pytest

from kbert.errors import DataError
from kbert.tasks.readers.multiple_choice import choice_index, detect_label_format

CHOICES = ("one", "two", "three")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["0", "2"], "0"),
        (["3", "1"], "1"),
        (["1", "2", "3", "0", "3"], "1"),  # one of them is bad
        (["B", "c"], "letter"),
        (["two", "one"], "text"),
    ],
)
def test_the_format_of_labels_is_detected(labels, expected):
    assert detect_label_format([(label, CHOICES) for label in labels], "a.csv") == expected


def test_numbers_that_may_count_from_0_or_1():
    with pytest.raises(DataError, match=r"^a\.csv: expected labels that count from 0, or from 1\. .*; give --label-"):
        detect_label_format([("1", CHOICES), ("2", CHOICES)], "a.csv")


def test_numbers_that_are_the_texts_are_texts():
    assert detect_label_format([("2", ("1", "2", "4"))], "a.csv") == "text"


@pytest.mark.parametrize(("label", "form"), [("1", "0"), ("2", "1"), ("b", "letter"), ("two", "text"), (1, "text")])
def test_the_same_choice_by_all_names(label, form):
    assert choice_index(label, CHOICES, form) == 1


@pytest.mark.parametrize(
    ("label", "form", "message"),
    [
        ("3", "0", r"^expected a number from 0 to 2 as label\. Received '3'$"),
        ("0", "1", r"^expected a number from 1 to 3 as label\. Received '0'$"),
        ("-1", "0", r"^expected a number from 0 to 2 as label\. Received '-1'$"),
        ("D", "letter", r"^expected a letter from A to C as label\. Received 'D'$"),
        ("four", "text", r"^expected the text of one of the choices as label\. Received 'four'$"),
    ],
)
def test_labels_that_name_no_choice(label, form, message):
    with pytest.raises(ValueError, match=message):
        choice_index(label, CHOICES, form)
