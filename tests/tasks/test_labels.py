import pytest

from kbert.tasks.labels import label_ids, label_names, similar_labels, sorted_labels, warn_of_similar_labels


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"10", "9", "2"}, ["2", "9", "10"]),
        ({"b", "10", "a"}, ["10", "a", "b"]),
        ({"nan", "1", "0"}, ["0", "1", "nan"]),
    ],
)
def test_labels_are_sorted_as_numbers_if_all_are(labels, expected):
    assert sorted_labels(labels) == expected


def test_the_names_that_transformers_reads():
    assert label_names(["no", "yes"]) == {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}


def test_equal_labels_are_refused():
    assert label_ids(["b", "a"]) == {"b": 0, "a": 1}
    with pytest.raises(ValueError, match=r"^labels must have different names\. Received: 'a' twice$"):
        label_ids(["b", "a", "c", "a"])


@pytest.mark.parametrize(
    ("labels", "similar"),
    [
        (["Spam", "ham", "spam"], ["Spam", "spam"]),
        (["caf\u00e9", "cafe\u0301"], ["caf\u00e9", "cafe\u0301"]),
        (["spam", "spam\u200b"], ["spam", "spam\u200b"]),
        (["1", "10", "one"], []),
    ],
)
def test_labels_that_look_alike(labels, similar, logged):
    warn_of_similar_labels(labels, "train.csv")
    found = logged()
    assert similar_labels(labels) == similar
    assert [message.split(": ", 1)[0] for message in found] == ["train.csv"] * bool(similar)
