"""Addresses of the sheets of Excel workbooks, such as `book.xlsx#Notes` or `book.xlsx#2`."""

from __future__ import annotations

import os
import re

_MARK = re.compile(r"(?<=\.xls[xm])#(?=.)", re.IGNORECASE | re.DOTALL)


def split_sheet(path: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Splits an address into the path of the workbook and the name or number of the sheet.

    Other paths are returned unchanged with None, and so is the path of a file whose name contains "#".

    Example:
        >>> split_sheet("book.xlsx#Notes"), split_sheet("book.xlsx"), split_sheet("table.csv#2")
        (('book.xlsx', 'Notes'), ('book.xlsx', None), ('table.csv#2', None))
    """
    name = os.fspath(path)
    marks = [found.start() for found in _MARK.finditer(name)]
    if not marks or os.path.exists(name):
        return name, None
    mark = next((place for place in marks if os.path.isfile(name[:place])), marks[0])
    return name[:mark], name[mark + 1 :]


def file_of(path: str | os.PathLike[str]) -> str:
    """Returns the path of the file in an address: that of the workbook, or the path itself.

    Example:
        >>> file_of("book.xlsx#Notes"), file_of("table.csv")
        ('book.xlsx', 'table.csv')
    """
    return split_sheet(path)[0]
