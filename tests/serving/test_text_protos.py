import pytest

from kbert.errors import ServingError
from kbert.serving.text_protos import parse_text, text_message_class

FIELDS = {
    "size": "Int64Value",
    "sizes": "repeated int64",
    "is_on": "bool",
    "name": "string",
    "inner_config": {"path": "string", "more": {"depth": "int64"}},
}


def parse(text):
    return parse_text(text, text_message_class("Sample", FIELDS), "settings.txt")


def test_all_kinds_of_fields_are_read():
    message = parse(
        'size { value: 3 } sizes: 1 sizes: [2, 3] is_on: true name: "a\\n" inner_config { more { depth: 4 } }'
    )
    assert (message.size.value, list(message.sizes), message.is_on, message.name) == (3, [1, 2, 3], True, "a\n")
    assert (message.inner_config.path, message.inner_config.more.depth) == ("", 4)
    assert message.HasField("size")
    assert not parse("").HasField("size")


def test_a_message_may_be_declared_twice():
    assert text_message_class("Sample", FIELDS) is text_message_class("Sample", dict(FIELDS))


@pytest.mark.parametrize("text", ["size: 3", "unknown: 1", "name: 'a", "size {", "sizes: 1.5", "\0", "is_on: 7"])
def test_a_bad_text_is_told_in_one_line(text):
    with pytest.raises(
        ServingError, match=r"^settings\.txt: Error parsing text-format tensorflow\.serving\.Sample: "
    ) as raised:
        parse(text)
    assert "\n" not in str(raised.value)
