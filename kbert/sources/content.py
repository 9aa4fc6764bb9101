"""Digests of what a user gives as data, so that a resumed run notices other data."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from kbert import files
from kbert.sources.memory_table import as_table
from kbert.sources.named_datasets import is_named_dataset
from kbert.sources.sheets import split_sheet


def content_sha256(data: Any, name: str) -> str:
    """Returns a digest of a file, of the sheet of a workbook, of a table in memory, or of the name of a dataset.

    Args:
        data: The file, the address of a sheet, the name of a dataset, a data frame, or a list of dictionaries.
        name: The name of the data in messages, such as "train".

    Raises:
        UsageError: The data are an invalid table.
        OSError: The file is unreadable.
    """
    table = as_table(data, name)
    if table is not None:
        return table.sha256()
    if is_named_dataset(data):  # its rows are not on this machine
        return hashlib.sha256(os.fspath(data).encode()).hexdigest()
    file, sheet = split_sheet(data)
    digest = files.file_sha256(file)
    return digest if sheet is None else f"{digest}#{sheet}"
