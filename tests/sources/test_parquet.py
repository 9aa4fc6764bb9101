import builtins

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source

pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")


def write(path, columns, **options):
    parquet.write_table(pa.table(columns), path, **options)
    return path


def read(path, **settings):
    return [(found.lines, found.line) for found in Source([path], SourceSettings(**settings)).documents()]


def test_each_row_is_a_document(tmp_path):
    path = write(tmp_path / "a.parquet", {"id": [1, 2, 3], "text": ["one\ntwo", " ", "é"]}, row_group_size=1)
    assert read(path) == [(("one", "two"), 1), (("é",), 3)]


def test_format_is_known_by_content(tmp_path):
    assert Source([write(tmp_path / "a", {"text": ["a"]})]).formats() == {"parquet": 1}


@pytest.mark.parametrize(
    ("field", "columns"),
    [
        ("body", {"body": pa.array(["the cat"], pa.large_string())}),
        ("a.b", {"a": pa.array([{"b": "the cat", "c": 1}])}),
        ("a.b", {"a.b": pa.array(["the cat"])}),
        ("text", {"text": pa.array(["the cat"]).dictionary_encode()}),
        ("text", {"text": pa.array([b"the cat"])}),
    ],
)
def test_the_column_with_the_text(tmp_path, field, columns):
    assert read(write(tmp_path / "a.parquet", columns), text_field=field) == [(("the cat",), 1)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"body": ["a"], "n": [1]},
            r"a\.parquet: expected a column 'text' .* the columns 'body' \(string\), 'n' \(int64\)",
        ),
        ({"text": [1]}, r"a\.parquet: expected text in column 'text'. Received values of type int64"),
        ({"text": ["a", "b", None]}, r"a\.parquet:3: expected text in column 'text'. Row 3 holds null"),
        ({"text": [b"a", b"b\xe9"]}, r"a\.parquet:2: .* byte 0xe9 at byte offset 1 of it; .*--invalid-utf8 skip"),
    ],
)
def test_bad_columns_and_rows_are_named(tmp_path, columns, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "a.parquet", columns))


def test_invalid_rows_can_be_left_out(tmp_path):
    path = write(tmp_path / "a.parquet", {"text": [b"a", b"\xe9", b"b"]})
    assert read(path, invalid_utf8="skip") == [(("a",), 1), (("b",), 3)]


def test_damage_is_said(tmp_path):
    path = write(tmp_path / "a.parquet", {"text": ["a" * 1000]})
    data = path.read_bytes()
    for content in (b"", b"PAR1", data[:-10], data[: len(data) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.parquet: expected a Parquet file"):
            read(path)


def test_without_pyarrow(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", {"text": ["a"]})
    original = builtins.__import__

    def missing(name, *arguments):
        if name == "pyarrow":
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"a\.parquet: reading Parquet needs pyarrow: pip install 'kbert\[parquet\]'"):
        Source([path])


# === Columns by number ===


def test_the_column_with_the_text_by_number(tmp_path):
    path = write(tmp_path / "a.parquet", {"id": [1, 2], "body": ["one", "two"], "3": ["x", "y"]})
    assert read(path, text_field="2") == [(("one",), 1), (("two",), 2)]
    assert read(path, text_field="3") == [(("x",), 1), (("y",), 2)]  # a name, and the number of the same column
    with pytest.raises(DataError, match=r"a\.parquet: expected a column '4' with the text\. Received the columns 'id'"):
        read(path, text_field="4")
    path = write(tmp_path / "b.parquet", {"2": ["name"], "body": ["number"]})
    assert read(path, text_field="2") == [(("name",), 1)]


@pytest.mark.parametrize("kind", ["large_string", "string_view", "binary", "large_binary", "binary_view"])
def test_all_types_of_text(tmp_path, kind):
    arrow = pytest.importorskip("pyarrow", "20", reason="needs a pyarrow that casts views")
    column = arrow.array(["the cat", "ein Hündchen"]).cast(getattr(arrow, kind)())
    path = write(tmp_path / "a.parquet", {"text": column})
    assert read(path) == [(("the cat",), 1), (("ein Hündchen",), 2)]
