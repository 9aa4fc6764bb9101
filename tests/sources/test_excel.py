import builtins
import datetime
import re
import zipfile

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.content import content_sha256
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


# === Choice of a sheet ===


@pytest.fixture
def sheets(tmp_path):
    """A workbook with the sheets Empty, Secret (hidden), train, 2024."""
    openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Empty"
    for name in ("Secret", "train", "2024"):
        sheet = book.create_sheet(name)
        sheet.append(["text", "label"])
        sheet.append([f"a text of {name}", 1])
        sheet.append([f"more of {name}", 0])
    book["Secret"].sheet_state = "hidden"
    book.save(tmp_path / "book.xlsx")
    return tmp_path / "book.xlsx"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("", "train"),  # the first visible sheet with rows
        ("#train", "train"),
        ("#TRAIN", "train"),
        ("#Secret", "Secret"),
        ("#2", "Secret"),
        ("#4", "2024"),
        ("#2024", "2024"),  # a name, although it is a number
    ],
)
def test_a_sheet_is_chosen(sheets, address, name):
    path = f"{sheets}{address}"
    assert list(read_cells(path))[1] == (2, [f"a text of {name}", "1"])
    assert ClassificationTask.read_examples(path)[0] == Example(f"a text of {name}", None, "1", 2)
    assert [found.lines for found in Source([path]).documents()] == [(f"a text of {name}",), (f"more of {name}",)]


def test_the_sheet_is_said_once(sheets, caplog):
    caplog.set_level("INFO", logger="kbert")
    for _ in range(2):
        ClassificationTask.read_examples(sheets)
        ClassificationTask.read_examples(f"{sheets}#4")
    listed = "'Empty', 'Secret', 'train', '2024'"
    assert [record.message for record in caplog.records] == [
        f"{sheets}: the sheet 'train' is read, of {listed} ({sheets}#Empty reads another)",
        f"{sheets}#4: the sheet '2024' is read, of {listed} ({sheets}#Empty reads another)",
    ]


def test_a_single_sheet_is_not_said(tmp_path, caplog):
    openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl")
    caplog.set_level("INFO", logger="kbert")
    book = openpyxl.Workbook()
    book.active.append(["one"])
    book.save(tmp_path / "single.xlsx")
    assert list(read_cells(tmp_path / "single.xlsx")) == [(1, ["one"])]
    assert caplog.records == []


@pytest.mark.parametrize("wanted", ["Nosuch", "5", "0"])
def test_a_sheet_that_is_missing(sheets, wanted):
    message = (
        rf"book\.xlsx#{wanted}: expected one of the sheets 'Empty', 'Secret', 'train', '2024', or a number from 1 to "
        rf"4. Received: '{wanted}'; write the name of a sheet behind #"
    )
    for read in (list, ClassificationTask.read_examples):
        with pytest.raises(DataError, match=message):
            read(read_cells(f"{sheets}#{wanted}") if read is list else f"{sheets}#{wanted}")


def test_a_workbook_that_is_missing(tmp_path):
    with pytest.raises(UsageError, match=r"none\.xlsx: no such file"):
        ClassificationTask.read_examples(f"{tmp_path}/none.xlsx#a")
    with pytest.raises(UsageError, match=r"no such file: .*none\.xlsx"):
        Source([f"{tmp_path}/none.xlsx#a"])


def test_a_file_whose_name_has_the_mark(sheets):
    other = sheets.with_name("book.xlsx#copy.xlsx")
    sheets.rename(other)
    assert list(read_cells(other))[1] == (2, ["a text of train", "1"])
    assert list(read_cells(f"{other}#4"))[1] == (2, ["a text of 2024", "1"])
    assert next(found.lines for found in Source([other]).documents()) == ("a text of train",)


def test_folders_and_globs_of_workbooks(sheets):
    assert Source([f"{sheets.parent}/*.xlsx#2024"]).parts == [(f"{sheets}#2024", "xlsx")]
    assert Source([sheets.parent]).parts == [(str(sheets), "xlsx")]


def test_digests_tell_sheets_apart(sheets):
    digests = {content_sha256(f"{sheets}{address}", "train") for address in ("", "#train", "#2024")}
    assert len(digests) == 3


def test_a_wrong_size_in_the_file_hides_no_rows(sheets, tmp_path):
    """Some programs write the size A1 for every sheet."""
    wrong = tmp_path / "wrong.xlsx"
    with zipfile.ZipFile(sheets) as old, zipfile.ZipFile(wrong, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', content))
    assert list(read_cells(f"{wrong}#train")) == list(read_cells(f"{sheets}#train"))


def rewritten(path, change):
    """Changes the XML of the sheets of a workbook."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, change(content) if "worksheets/" in name else content)


def test_a_sheet_that_is_cut_short(workbook):
    path = workbook(["text", "label"], ["one", "a"])
    rewritten(path, lambda content: content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.xlsx: expected an Excel file \(\.xlsx\)\. Reading it failed: "):
        list(read_cells(path))


def test_compressed_bytes_that_are_wrong(workbook):
    path = workbook(*[["text", f"label {number}"] for number in range(100)])
    name = "xl/worksheets/sheet2.xml"
    with zipfile.ZipFile(path) as archive:
        begin = archive.getinfo(name).header_offset + 30 + len(name)
    whole = path.read_bytes()
    path.write_bytes(whole[:begin] + bytes(40) + whole[begin + 40 :])
    with pytest.raises(DataError, match=r"a\.xlsx: expected an Excel file .* Reading it failed: Error -3 while"):
        list(read_cells(path))
