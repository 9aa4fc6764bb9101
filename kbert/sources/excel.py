"""Reads the rows of the first sheet of Excel files (.xlsx; extra `excel`)."""

from __future__ import annotations

import datetime
import os
import zipfile
from collections.abc import Iterator
from typing import Any

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.sources.delimited import documents_of_cells
from kbert.sources.document import Document, Reading


def read_cells(path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of the first sheet that has any, each as (1-based number, cells).

    Rows of empty cells are left out. Rows that are shorter than the first row are padded with empty cells. Cells are
    returned as text: 3.0 is "3", dates are in ISO 8601, and formulas have the value that Excel stored.

    Args:
        path: An .xlsx or .xlsm file.

    Raises:
        UsageError: openpyxl is not installed.
        DataError: The file is not an Excel file, or is damaged.
    """
    workbook = _open(path)
    try:
        for sheet in workbook.worksheets:
            width = 0
            for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
                cells = [_text(value) for value in row]
                if not any(cells):
                    continue
                while not cells[-1]:  # formatted cells after the last column
                    cells.pop()
                width = width or len(cells)
                yield number, cells + [""] * (width - len(cells))
            if width:
                return
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as problem:
        raise DataError(f"expected an Excel file (.xlsx). Reading it failed: {problem}", path) from None
    finally:
        workbook.close()


def read_excel(path: str, reading: Reading) -> Iterator[Document]:
    """Yields the rows of the first sheet as documents.

    Raises:
        UsageError: openpyxl is not installed.
        DataError: The file is not an Excel file, or the column is missing.
    """
    return documents_of_cells(read_cells(path), path, reading)


def _open(path: PathLike) -> Any:
    try:
        import openpyxl
    except ImportError:
        raise UsageError(f"{os.fspath(path)}: reading Excel files needs openpyxl: pip install 'kbert[excel]'") from None
    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as problem:
        raise DataError(
            f"expected an Excel file (.xlsx; save an .xls file as .xlsx). Reading it failed: {problem}", path
        ) from None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
