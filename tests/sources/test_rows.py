import gzip

import pytest

from kbert.errors import DataError
from kbert.files import lines
from kbert.sources.bad_rows import BadRows
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, file_kind


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_a_json_file_may_be_an_array_or_lines(write):
    array = write("a.json", '\n[\n  {"text": "x",\n   "label": 1},\n\n  {"text": "y"}, {"text": "z"}\n]\n')
    assert list(read_objects(array)) == [(3, {"text": "x", "label": 1}), (6, {"text": "y"}), (7, {"text": "z"})]
    lines = write("b.json", '{"text": "x"}\n\n{"text": "y"}\n')
    assert list(read_objects(lines)) == [(1, {"text": "x"}), (3, {"text": "y"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1},\n', r"a\.json:1: expected \] at the end of the JSON array\. Received the end of the file$"),
        ('[{"a": 1},\n {"a": }]', r"a\.json:2: expected a JSON array of objects \(Expecting value"),
        ('[{"a": 1},\n 3]', r"a\.json:2: expected a JSON object a line\. Received int$"),
        ('[{"a": 1}]\n[{"a": 2}]\n', r"a\.json:2: expected the end of the file after the \] of the JSON array\. Rec"),
        ('[{"a": 1}] 3\n', r"a\.json:1: expected the end of the file .* `jq -c '\.\[\]'` does$"),
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
    assert list(read_objects(write("a.json", '[3, {"a": 1}]'), bad=bad)) == [(2, {"a": 1})]
    assert bad.count == 1


def test_an_array_that_is_longer_than_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_SIZE", 16)
    (tmp_path / "a.json").write_text('[{"text":\n "the cat sat on the mat"},\n {"text": "b"},\n\n {"n": [1,\n2]}\n]\n')
    assert list(read_objects(tmp_path / "a.json")) == [
        (1, {"text": "the cat sat on the mat"}),
        (3, {"text": "b"}),
        (5, {"n": [1, 2]}),
    ]


def test_content_tells_json_from_other_text(tmp_path):
    (tmp_path / "a.dat").write_text('{"text": "x"}\n')
    assert file_kind(tmp_path / "a.dat") == "json"
    assert list(read_objects(tmp_path / "a.dat")) == [(1, {"text": "x"})]
    (tmp_path / "b.txt").write_text("[CLS] is a token\n")
    assert file_kind(tmp_path / "b.txt") == "text"
    (tmp_path / "c.csv").write_text('{"a": 1}\n')
    assert file_kind(tmp_path / "c.csv") == "csv"
    assert file_kind(tmp_path / "c.csv", TableFormat(format="jsonl")) == "json"


def test_json_of_utf_16(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"text": "é"}\n'.encode("utf-16"))
    assert list(read_objects(tmp_path / "a.jsonl")) == [(1, {"text": "é"})]


def test_parquet_has_typed_rows(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"text": ["a", None], "n": [1.5, None], "labels": [["x", "y"], []], "b": [b"z", b"z"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert list(read_objects(tmp_path / "a.parquet")) == [
        (1, {"text": "a", "n": 1.5, "labels": ["x", "y"], "b": "z"}),
        (2, {"text": "", "n": "", "labels": [], "b": "z"}),
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_by_name_has_the_names_of_classes(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["neg", "pos"]),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-X"])),
        }
    )
    rows = {"text": ["a", "b"], "label": [1, -1], "tags": [[0, 1], []]}
    datasets.Dataset.from_dict(rows, features).to_parquet(tmp_path / "data" / "train.parquet")
    assert list(read_objects(f"hf-datasets:{tmp_path / 'data'}")) == [
        (1, {"text": "a", "label": "pos", "tags": ["O", "B-X"]}),
        (2, {"text": "b", "label": "", "tags": []}),
    ]


def test_an_object_of_several_lines_names_the_way_out(write):
    path = write("a.jsonl", '{\n  "text": "a"\n}\n')
    with pytest.raises(
        DataError, match=r"a\.jsonl:1: expected a JSON object a line \(.*\); write each .* `jq -c \.` does$"
    ):
        list(read_objects(path))
