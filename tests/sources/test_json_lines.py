import gzip
import json

import pytest

from kbert.errors import DataError
from kbert.sources import document
from kbert.sources.places import DocumentRange
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source


def read(tmp_path, content, **settings):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(found.lines, found.line) for found in Source([path], SourceSettings(**settings)).documents()]


def test_each_object_is_a_document_of_lines(tmp_path):
    content = '{"id": 1, "text": "one\\ntwo\\r\\n\\n  \\nthree"}\n\n{"text": "é", "other": null}\r\n{"text": " "}'
    assert read(tmp_path, content) == [(("one", "two", "three"), 1), (("é",), 3)]


def test_sizes_are_of_the_text(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "\\u00e9\\nab"}\n')
    assert [found.size for found in Source([tmp_path / "rows.jsonl"]).documents()] == [6]


@pytest.mark.parametrize(
    ("field", "row"),
    [
        ("body", {"body": "the cat", "text": 1}),
        ("a.b", {"a": {"b": "the cat"}}),
        ("a.b.c", {"a": {"b": {"c": "the cat"}}}),
        ("a.b", {"a.b": "the cat", "a": {"b": "not this"}}),
    ],
)
def test_the_field_with_the_text(tmp_path, field, row):
    assert read(tmp_path, json.dumps(row), text_field=field) == [(("the cat",), 1)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"body": "a", "meta": {"b": 1}}',
            "field 'text' with the text. Received the fields 'body', 'meta.b'",
        ),
        ("{}", "Received no fields; name the field with the text with --text-field"),
        ('{"text": 5}', "expected text in field 'text'. Received the number 5"),
        ('{"text": null}', "expected text in field 'text'. Received null"),
        ('{"text": ["a"]}', "expected text in field 'text'. Received a list"),
        ('{"text": {"a": "b"}}', "expected text in field 'text'. Received an object"),
        ('{"text": true}', "Received true or false"),
        ('["text"]', "expected a JSON object a line. Received a list"),
        ('"text"', "expected a JSON object a line. Received a text"),
        ('{"text": "cut', 'expected a JSON object. Received \'{"text": "cut\', which is not JSON'),
        ("{", "if an object takes several lines, write each in a line of its own, as `jq -c .` does"),
        ("plain words", "Received 'plain words', which is not JSON"),
        ("[" * 100_000, "which is not JSON"),
        ('{"text": "\\ud800"}', "Received half a surrogate pair, \\ud800, at character 0 of it"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    with pytest.raises(DataError) as caught:
        read(tmp_path, f'{{"text": "fine"}}\n{line}\n')
    assert str(caught.value).startswith(f"{tmp_path / 'rows.jsonl'}:2: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_named_or_left_out(tmp_path):
    content = b'{"text": "a"}\n{"text": "\xe9"}\n{"text": "\\ud800"}\n{"text": "b"}\n'
    with pytest.raises(DataError, match=r"rows\.jsonl:2: .* byte 0xe9 at byte offset 24; .*--invalid-utf8 skip"):
        read(tmp_path, content)
    source = Source([tmp_path / "rows.jsonl"], SourceSettings(invalid_utf8="skip"))
    assert [found.lines for found in source.documents()] == [("a",), ("b",)]
    assert source.counts == {"invalid_utf8": 2}


def test_a_document_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "LARGEST_DOCUMENT", 1 << 20)
    with pytest.raises(DataError, match=r"rows\.jsonl:2: expected documents of at most 1 MiB"):
        read(tmp_path, '{"text": "a"}\n' + json.dumps({"text": "x" * (1 << 20)}))


def test_compressed(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\n{"text": "b"}\n'))
    assert [found.lines for found in Source([path]).documents()] == [("a",), ("b",)]


def test_an_array(tmp_path):
    (tmp_path / "a.json").write_text('[\n  {"text": "a"},\n  {"text":\n   "b"}, {"text": null}\n]')
    source = Source([tmp_path / "a.json"], SourceSettings(skip_bad=1))
    assert [(found.lines, found.line) for found in source.documents()] == [(("a",), 2), (("b",), 3)]
    assert not source.is_seekable(0)


def test_rows_without_text_can_be_skipped(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": null}\n{"body": "b"}\n{"text": \n{"text": "c"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2: expected text in field 'text'\. Received null; .*\(--skip-bad\)"):
        list(Source([path]).documents())
    source = Source([path], SourceSettings(skip_bad=3))
    assert [found.lines for found in source.documents()] == [("a",), ("c",)]
    assert source.counts == {"bad_rows": 3}
    assert list(source.lines()) == ["a", "c"]
    # A place of a document counts no row that was skipped.
    places = list(source.places())
    assert [(place.ordinal, place.line) for place in places] == [(0, 1), (1, 5)]
    ranges = [DocumentRange(0, 1, 1, None)]
    assert [[found.lines for found in documents] for documents in source.read_ranges(ranges)] == [[("c",)]]
