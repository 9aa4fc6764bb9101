import pytest

from kbert.tasks.readers.label_lists import LabelVector, parse_list, unsplit_labels, vector_size


@pytest.mark.parametrize(
    ("cell", "items"),
    [
        ('["a b", "c"]', ["a b", "c"]),
        ("['a b', 'c']", ["a b", "c"]),
        ("['a b' 'c']", ["a b", "c"]),
        ("[a b, c]", ["a b", "c"]),
        ("[0 1 0]", ["0", "1", "0"]),
        ("[0.0, 1.0]", ["0.0", "1.0"]),
        ("[True, False]", ["true", "false"]),
        ("{'a'}", ["a"]),
        ("{a,b}", ["a", "b"]),
        ("('a', 'b')", ["a", "b"]),
        ("[]", []),
        ("['']", [""]),
        ("(no genres listed)", None),
        ("a, b", None),
        ("", None),
        ("[", None),
    ],
)
def test_parse_list(cell, items):
    assert parse_list(cell) == items


def test_lists_of_lists_are_no_labels():
    with pytest.raises(ValueError, match=r"^expected a list of labels\. Received \[\[1\], \[2\]\]$"):
        parse_list("[[1], [2]]")


@pytest.mark.parametrize(
    ("rows", "size"),
    [
        ([["0", "1", "0"], ["1", "1", "0"]], 3),
        ([["0", "1"], ["1", "0"]], 2),
        ([["0", "0", "0"], ["1", "0"]], 3),  # a list of labels has none twice: the other row is bad
        ([["0"], ["0", "1"], ["1"]], 0),  # lists of two labels
        ([["0", "1", "2"]], 0),
        ([["a"]], 0),
        ([], 0),
    ],
)
def test_vector_size(rows, size):
    assert vector_size(rows) == size


def test_label_vector():
    vector = LabelVector.of(["0", "1.0", "true", "false"])
    assert (vector, vector.size) == (("1", "2"), 4)


@pytest.mark.parametrize(
    ("labels", "unsplit"),
    [
        (["joy, love", "joy"], (",", ["joy, love"])),
        (["joy;love"], (";", ["joy;love"])),
        (["joy love", "joy", "love"], (" ", ["joy love"])),
        (["New York", "Los Angeles"], None),
        (["a/c"], None),
        (["joy,"], None),
    ],
)
def test_unsplit_labels(labels, unsplit):
    assert unsplit_labels(labels) == unsplit
