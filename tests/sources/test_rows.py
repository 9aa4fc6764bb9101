import gzip

import pytest

from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows
from kbert.sources.rows import read_objects


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_a_json_file_may_be_an_array_or_lines(write):
    array = write("a.json", '\n[\n  {"text": "x",\n   "label": 1},\n\n  {"text": "y"}, {"text": "z"}\n]\n')
    assert list(read_objects(array)) == [(3, {"text": "x", "label": 1}), (6, {"text": "y"}), (6, {"text": "z"})]
    lines = write("b.json", '{"text": "x"}\n\n{"text": "y"}\n')
    assert list(read_objects(lines)) == [(1, {"text": "x"}), (3, {"text": "y"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1},\n', r"a\.json:1: expected \] at the end of the JSON array\. Received the end of the file$"),
        ('[{"a": 1},\n {"a": }]', r"a\.json:2: expected a JSON array of objects \(Expecting value"),
        ('[{"a": 1},\n 3]', r"a\.json:2: expected a JSON object a line\. Received int$"),
    ],
)
def test_arrays_that_cannot_be(write, content, message):
    with pytest.raises(DataError, match=message):
        list(read_objects(write("a.json", content)))


def test_half_a_character_is_replaced(write):
    path = write("a.jsonl", '{"text": "cut \\ud83d", "whole": "\\ud83d\\ude00"}\n')
    assert list(read_objects(path)) == [(1, {"text": "cut \ufffd", "whole": "\U0001f600"})]


def test_a_compressed_array(tmp_path):
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b'[{"a": 1}]'))
    assert list(read_objects(path)) == [(1, {"a": 1})]


def test_bad_elements_can_be_skipped(write):
    bad = BadRows(1)
    assert list(read_objects(write("a.json", '[3, {"a": 1}]'), bad=bad)) == [(1, {"a": 1})]
    assert bad.count == 1
