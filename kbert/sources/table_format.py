"""The format of a file of rows: its kind, delimiter, encoding and quoting."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import UsageError
from kbert.sources.bad_rows import BadRows
from kbert.sources.detection import detect_format, format_by_suffix
from kbert.sources.memory_table import MemoryTable
from kbert.sources.named_datasets import check_named_dataset, is_named_dataset
from kbert.sources.sheets import file_of

QUOTINGS = ("auto", "csv", "none")
ROW_FORMATS = ("auto", "text", "jsonl", "csv", "tsv", "parquet", "xlsx")


@dataclasses.dataclass(frozen=True)
class TableFormat:
    r"""The format of a table, as far as the suffix of the file does not determine it.

    Args:
        delimiter: The delimiter between cells; "tab" or "\t" means a tab. None depends on the suffix. With a delimiter,
            a file with any suffix is a table.
        encoding: The encoding of the text, by a name that Python knows.
        quoting: "csv" if quotation marks enclose cells (RFC 4180), "none" if they are text; "auto" is "csv" for .csv
            files and "none" for others.
        format: One of ROW_FORMATS; "auto" detects the format from the beginning and the suffix of the file.

    Raises:
        UsageError: The delimiter, encoding, quoting or format is invalid.
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    quoting: str = "auto"
    format: str = "auto"

    def __post_init__(self) -> None:
        if self.delimiter in ("tab", "\\t"):
            object.__setattr__(self, "delimiter", "\t")
        if self.delimiter is not None and (not self.delimiter or set(self.delimiter) & set('\r\n"')):
            raise UsageError(
                f"the delimiter must be a character such as ; or tab, and no quotation mark. "
                f"Received: {self.delimiter!r}"
            )
        if self.quoting not in QUOTINGS:
            raise UsageError(f"quoting must be one of {', '.join(QUOTINGS)}. Received: {self.quoting!r}")
        if self.format not in ROW_FORMATS:
            raise UsageError(f"format must be one of {', '.join(ROW_FORMATS)}. Received: {self.format!r}")
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError):
            raise UsageError(
                f"encoding must be one that Python knows, such as utf-8, latin-1 or gb18030. "
                f"Received: {self.encoding!r}"
            ) from None

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> TableFormat:
        """Returns the format given in a task's options. Other options are ignored."""
        names = [field.name for field in dataclasses.fields(cls)]
        given = {name: (options or {}).get(name) for name in names}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def is_table(self, path: files.PathLike) -> bool:
        """Returns whether a file is a table, because of its suffix or because a delimiter is given."""
        return self.delimiter is not None or file_kind(path, self) != "text"

    def lines(self, path: files.PathLike) -> Iterator[str]:
        """Returns an iterator over the lines of a file.

        Raises:
            DataError: The file is not in this encoding.
        """
        return (line for _, line in self.numbered_lines(path))

    def numbered_lines(self, path: files.PathLike, bad: BadRows | None = None) -> Iterator[tuple[int, str]]:
        """Yields the lines of a file, each with its 1-based number.

        Args:
            path: The file.
            bad: Counts lines that are not in this encoding. In UTF-16 and UTF-32 they are errors nevertheless, since
                the following lines are unreliable.

        Raises:
            DataError: The file is not in this encoding.
        """
        for first, lines in self.line_blocks(path, bad):
            yield from enumerate(lines, start=first)

    def line_blocks(self, path: files.PathLike, bad: BadRows | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yields blocks of lines, each with the 1-based number of its first line (see `numbered_lines`)."""
        return files.read_line_blocks(
            path,
            self.encoding,
            on_invalid=bad.skip if bad else None,
            advice="convert the file with iconv, or name its encoding (--encoding)",
        )


def check_there(path: files.PathLike) -> None:
    """Checks that a file exists. Tables in memory and datasets by name need no file.

    Raises:
        UsageError: The file does not exist, or the library that reads the dataset is missing.
    """
    if isinstance(path, MemoryTable):
        return
    if is_named_dataset(path):
        check_named_dataset(os.fspath(path))
    elif not Path(file_of(path)).is_file():
        raise UsageError(f"{file_of(path)}: no such file")


def row_kind(path: files.PathLike, form: TableFormat | None = None) -> str:
    """Returns the kind of a table: "memory", "dataset", or one of kbert.sources.detection.FORMATS.

    A file that begins like JSON or Parquet has that kind, unless its suffix is that of CSV, TSV or Excel. The output of
    WikiExtractor counts as text.
    """
    if isinstance(path, MemoryTable):
        return "memory"
    if is_named_dataset(path):
        return "dataset"
    if form is not None and form.format != "auto":
        return form.format
    ending = format_by_suffix(path)
    # The suffix of a table takes precedence, since cells can look like any other format.
    if ending in ("csv", "tsv", "xlsx") or not Path(file_of(path)).is_file():
        return ending
    found = detect_format(path)
    return ending if found == "wikiextractor" else found


def file_kind(path: files.PathLike, form: TableFormat | None = None) -> str:
    """Returns how the rows of a file are read: "csv", "tsv" and "xlsx" have cells, "json" has values, "text" has lines.

    Parquet, datasets by name and tables in memory are read as "json".
    """
    kind = row_kind(path, form)
    return {"jsonl": "json", "parquet": "json", "memory": "json", "dataset": "json", "wikiextractor": "text"}.get(
        kind, kind
    )
