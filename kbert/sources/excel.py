"""Reads the rows of a sheet of Excel files (.xlsx; extra `excel`)."""

from __future__ import annotations

import datetime
import functools
import logging
import os
import xml.etree.ElementTree
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from kbert.errors import DataError, UsageError, shown
from kbert.files import PathLike
from kbert.sources.delimited import documents_of_cells
from kbert.sources.document import Document, Reading
from kbert.sources.sheets import split_sheet

_LOG = logging.getLogger("kbert")
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    xml.etree.ElementTree.ParseError,
    EOFError,
    NotImplementedError,  # a method of compression that zipfile does not have
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    OSError,
)
"""The exceptions that openpyxl and the libraries below it raise for damaged files."""


def read_cells(path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of a sheet, each as (1-based number, cells).

    Without a sheet in the address, the first visible sheet that has rows is read. If the workbook has several sheets, a
    message of the logger "kbert" names the one that is read.

    Rows of empty cells are left out. Rows that are shorter than the first row are padded with empty cells. Cells are
    returned as text: 3.0 is "3", dates are in ISO 8601, and formulas have the value that Excel stored.

    Args:
        path: An .xlsx or .xlsm file, or the address of a sheet by its name or its 1-based number, such as
            "book.xlsx#Notes" or "book.xlsx#2". A sheet whose name is a number is found by its name.

    Raises:
        UsageError: openpyxl is not installed.
        DataError: The file is not an Excel file, is damaged, or has no such sheet.
    """
    file, wanted = split_sheet(path)
    openpyxl = _import_openpyxl(file)
    # openpyxl would leave a damaged file open if it opened the file itself.
    with open(file, "rb") as handle:
        try:
            workbook = openpyxl.load_workbook(handle, read_only=True, data_only=True)
        except _DAMAGES as problem:
            raise DataError(
                f"expected an Excel file (.xlsx; save an .xls file as .xlsx). Reading it failed: {problem}", file
            ) from None
        try:
            yield from _rows(workbook, wanted, path)
        except _DAMAGES as problem:
            raise DataError(f"expected an Excel file (.xlsx). Reading it failed: {problem}", path) from None
        finally:
            workbook.close()


def read_excel(path: str, reading: Reading) -> Iterator[Document]:
    """Yields the rows of a sheet as documents (see `read_cells`).

    Raises:
        UsageError: openpyxl is not installed.
        DataError: The file is not an Excel file, or the sheet or the column is missing.
    """
    return documents_of_cells(read_cells(path), path, reading)


def _rows(workbook: Any, wanted: str | None, path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of `read_cells`."""
    for sheet in _sheets(workbook, wanted, path):
        # Some programs write a wrong size, and openpyxl would leave out the cells beyond it.
        sheet.reset_dimensions()
        width = 0
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            cells = [_text(value) for value in row]
            if not any(cells):
                continue
            while not cells[-1]:  # formatted cells after the last column
                cells.pop()
            if not width:
                width = len(cells)
                _tell_sheet(os.fspath(path), split_sheet(path)[0], sheet.title, tuple(workbook.sheetnames))
            yield number, cells + [""] * (width - len(cells))
        if width:
            return


def _sheets(workbook: Any, wanted: str | None, path: PathLike) -> list[Any]:
    """Returns the sheet of that name or number, or the sheets to look for rows in, hidden sheets last."""
    sheets = list(workbook.worksheets)
    if wanted is None:
        return sorted(sheets, key=lambda sheet: sheet.sheet_state != "visible")
    names = {sheet.title: sheet for sheet in reversed(sheets)}
    folded = {sheet.title.casefold(): sheet for sheet in reversed(sheets)}
    found = names.get(wanted) or folded.get(wanted.casefold())
    if found is None and wanted.isdecimal() and 1 <= int(wanted) <= len(sheets):
        found = sheets[int(wanted) - 1]
    if found is None:
        listed = ", ".join(shown(sheet.title) for sheet in sheets[:20])
        raise DataError(
            f"expected one of the sheets {listed}, or a number from 1 to {len(sheets)}. Received: {shown(wanted)}; "
            "write the name of a sheet behind #",
            path,
        )
    return [found]


@functools.lru_cache(maxsize=1024)  # a file is read several times, but the message is needed once
def _tell_sheet(path: str, file: str, sheet: str, sheets: tuple[str, ...]) -> None:
    """Logs which sheet is read, if there are several."""
    if len(sheets) > 1:
        other = next(name for name in sheets if name != sheet)
        listed = ", ".join(map(shown, sheets[:10])) + (" …" if len(sheets) > 10 else "")
        _LOG.info("%s: the sheet %s is read, of %s (%s#%s reads another)", path, shown(sheet), listed, file, other)


def _import_openpyxl(path: PathLike) -> Any:
    try:
        import openpyxl
    except ImportError:
        raise UsageError(f"{os.fspath(path)}: reading Excel files needs openpyxl: pip install 'kbert[excel]'") from None
    return openpyxl


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
