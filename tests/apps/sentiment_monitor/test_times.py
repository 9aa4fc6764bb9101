import pytest

from apps.sentiment_monitor.times import parse_time, show_time


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-01T08:00:00Z",
        "2026-05-01T10:00:00+02:00",
        "2026-05-01 08:00",
        "Fri, 01 May 2026 08:00:00 GMT",
        "1777622400",
        "1777622400000",
    ],
)
def test_the_same_moment_in_several_forms(text):
    assert parse_time(text) == 1_777_622_400
    assert show_time(parse_time(text)) == "2026-05-01 08:00"


@pytest.mark.parametrize("text", ["", "yesterday", "1889-01-01", "12", "2026-13-01"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="expected a time"):
        parse_time(text)
