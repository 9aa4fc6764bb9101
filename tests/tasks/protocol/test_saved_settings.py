import pytest

from kbert.tasks.protocol import saved_settings
from kbert.tasks.protocol.saved_settings import read_settings


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("flag", 1, "true or false"),
        ("string", None, "a string"),
        ("count", True, "a whole number"),
        ("count_or_none", 1.5, "a whole number"),
        ("number", "1", "a number"),
        ("number", 10**400, "a number"),
        ("numbers", {}, "a list of numbers"),
        ("numbers", [1, "2"], "a number"),
        ("names", ["a", 1], "a list of strings"),
        ("named_numbers", [1], "an object of numbers"),
        ("named_numbers", {"a": True}, "a number"),
    ],
)
def test_values_of_another_kind(kind, value, expected):
    with pytest.raises(TypeError, match=rf"^x must be {expected}\. Received: "):
        read_settings({"x": value}, {"x": getattr(saved_settings, kind)})


def test_known_settings_are_read_and_others_left_out():
    kinds = {
        "paired": saved_settings.flag,
        "mean": saved_settings.number,
        "stride": saved_settings.count_or_none,
        "thresholds": saved_settings.numbers,
    }
    values = {"paired": True, "mean": 2, "stride": None, "thresholds": [1, 0.5], "other": "x"}
    read = read_settings(values, kinds)
    assert read == {"paired": True, "mean": 2.0, "stride": None, "thresholds": [1.0, 0.5]}
    assert isinstance(read["mean"], float)
    with pytest.raises(KeyError, match="mean"):
        read_settings({"paired": True}, kinds)
    assert read_settings({"paired": True}, kinds, newer=("mean", "stride", "thresholds")) == {"paired": True}
