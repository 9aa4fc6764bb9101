import builtins
import datetime

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.excel import read_cells
from kbert.sources.source import Source
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.text_task import Example


@pytest.fixture
def workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl")

    def write(*rows):
        book = openpyxl.Workbook()
        sheet = book.create_sheet("second")
        for row in rows:
            sheet.append(row)
        book.save(tmp_path / "a.xlsx")
        return tmp_path / "a.xlsx"

    return write


def test_cells_are_texts(workbook):
    path = workbook(["text", "label", None], [], ["one", 1.0], ["two", 0.5, None], [None, datetime.date(2024, 5, 1)])
    assert list(read_cells(path)) == [
        (1, ["text", "label"]),
        (3, ["one", "1"]),
        (4, ["two", "0.5"]),
        (5, ["", "2024-05-01T00:00:00"]),
    ]


def test_corpora_and_tasks_read_them(workbook):
    path = workbook(["text", "label"], ["one", 1], ["two", True])
    assert [(found.lines, found.line) for found in Source([path]).documents()] == [(("one",), 2), (("two",), 3)]
    assert ClassificationTask.read_examples(path) == [Example("one", None, "1", 2), Example("two", None, "True", 3)]
    path = workbook(["one", 1], ["two", 0])
    assert ClassificationTask.read_examples(path, {"text": "1", "label": "2"})[1] == Example("two", None, "0", 2)


def test_what_is_no_workbook(tmp_path):
    pytest.importorskip("openpyxl", reason="needs openpyxl")
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"text,label\n")
    with pytest.raises(DataError, match=r"a\.xlsx: expected an Excel file \(\.xlsx; save an \.xls file as \.xlsx\)"):
        list(read_cells(path))


def test_without_openpyxl(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **settings):
        if name == "openpyxl":
            raise ImportError(name)
        return real(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"a\.xlsx: reading Excel files needs openpyxl: pip install 'kbert\[excel\]'"):
        list(read_cells(tmp_path / "a.xlsx"))
