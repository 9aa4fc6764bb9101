import dataclasses

import pytest

from kbert.errors import UsageError, VocabularyError
from kbert.export.phone.metadata.phone_metadata import PhoneMetadata
from kbert.text.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def metadata(**changes):
    values = {"name": "films", "vocabulary": Vocabulary([*SPECIAL, "a"]), "labels": ("bad", "good")}
    return PhoneMetadata(**values | changes)


def test_files_have_a_line_for_each_value_and_no_line_break_at_the_end():
    assert metadata().files == {"vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na", "labels.txt": b"bad\ngood"}


def test_a_model_without_labels_has_no_file_of_labels():
    assert list(metadata(labels=None).files) == ["vocab.txt"]


def test_blank_and_repeated_lines_of_a_vocabulary_keep_their_place():
    """MediaPipe skips blank lines, so that the ids of all later tokens would change."""
    files = metadata(vocabulary=Vocabulary([*SPECIAL, "", "a", "b", "a"])).files
    assert files["vocab.txt"].split(b"\n")[5:] == [b" line 6", b" line 7", b"b", b"a"]


def test_added_tokens_are_not_packed():
    files = metadata(vocabulary=Vocabulary([*SPECIAL, "a"]).with_added(["covid"])).files
    assert files["vocab.txt"].endswith(b"[MASK]\na")


@pytest.mark.parametrize("labels", [("bad", "good"), ("", " ")])
def test_a_vocabulary_without_cls_is_refused(labels):
    """MediaPipe would use id 0 in its place without notice."""
    with pytest.raises(VocabularyError, match=r"Missing: \[CLS\]"):
        metadata(vocabulary=Vocabulary(["[PAD]", "[UNK]", "[SEP]", "[MASK]", *labels]))


@pytest.mark.parametrize("label", ["", "very\ngood", "very\rgood", "good\r", "a\0"])
def test_labels_that_are_no_lines_are_refused(label):
    with pytest.raises(
        UsageError, match=r"^labels must be lines .* Received: '.*' as label 2; export .*--metadata none"
    ):
        metadata(labels=("bad", label))


def test_no_labels_are_refused():
    with pytest.raises(UsageError, match=r"^labels must be one or more\. Received: none$"):
        metadata(labels=())


def test_a_temperature_of_two_labels_is_a_slope():
    assert metadata(temperature=1.6).files["score_calibration.txt"] == b"1,0.625,0\n1,0.625,0"


def test_a_temperature_of_independent_labels_is_a_slope():
    files = metadata(labels=("a", "b", "c"), exclusive=False, temperature=2).files
    assert files["score_calibration.txt"] == b"1,0.5,0\n1,0.5,0\n1,0.5,0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": ("a", "b", "c"), "temperature": 1.5},
            r"temperature=1\.5 for 3 exclusive labels; divide the logits",
        ),
        ({"labels": None, "temperature": 1.5}, r"^temperature is for models with labels\. Received: temperature=1\.5"),
        ({"temperature": 0}, r"^temperature must be a number above 0\. Received: temperature=0$"),
        ({"temperature": float("nan")}, r"^temperature must be a number above 0\. Received: temperature=nan$"),
    ],
)
def test_temperatures_that_cannot_be_written_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        metadata(**changes)


def test_metadata_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        metadata().name = "other"
