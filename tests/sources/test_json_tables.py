import json

import pandas as pd
import pytest

from kbert.sources.json_tables import rows_of_table
from kbert.sources.rows import read_objects

ROWS = [{"text": "good", "label": 1}, {"text": "bad", "label": 0}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("orient", ["columns", "index", "split", "records"])
def test_tables_of_pandas(tmp_path, orient, indent):
    path = tmp_path / "a.json"
    pd.DataFrame(ROWS).to_json(path, orient=orient, indent=indent)
    assert [values for _, values in read_objects(path)] == ROWS


@pytest.mark.parametrize("indent", [None, 1])
def test_rows_under_the_key_data(tmp_path, indent):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"version": "1", "data": ROWS}, indent=indent))
    assert list(read_objects(path)) == [(1, ROWS[0]), (2, ROWS[1])]


def test_a_single_row_is_no_table(tmp_path):
    for row in (
        {"text": "good", "label": {"joy": 1, "anger": 0}},
        {"tokens": ["a", "b"], "tags": ["O", "O"]},
        {"data": "a text"},
        {"data": []},
        {"0": {"a": 1}, "1": {"b": 2}},
        {},
    ):
        assert rows_of_table(row) is None
        path = tmp_path / "a.json"
        path.write_text(json.dumps(row) + "\n" + json.dumps(row) + "\n")
        assert list(read_objects(path)) == [(1, row), (2, row)]


def test_several_tables_are_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"a": {"0": 1}, "b": {"0": 2}}
    path.write_text(json.dumps(row) + "\n" + json.dumps(row) + "\n")
    assert [values for _, values in read_objects(path)] == [row, row]


def test_each_element_of_an_array_has_a_number_of_its_own(tmp_path):
    path = tmp_path / "a.json"
    for text, numbers in (
        ('[{"a": 1}, {"a": 2}, {"a": 3}]', [1, 2, 3]),
        ('[\n{"a": 1},\n\n{"a": 2}, {"a": 3}\n]', [2, 4, 5]),
    ):
        path.write_text(text)
        assert [number for number, _ in read_objects(path)] == numbers
