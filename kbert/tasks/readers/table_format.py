"""How a file of rows is written: its kind, delimiter, encoding and quoting."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.tasks.readers.bad_rows import BadRows
from kbert.tasks.readers.memory_table import MemoryTable

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
QUOTINGS = ("auto", "csv", "none")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclasses.dataclass(frozen=True)
class TableFormat:
    r"""How a table is written, as far as its ending does not say.

    Args:
        delimiter: What stands between cells; "tab" or "\t" for a tab. None goes by the ending. With one, a file of any
            ending is a table.
        encoding: Of the text, by a name that Python knows.
        quoting: "csv": quotation marks enclose cells, as RFC 4180 says. "none": they are text. "auto": as "csv" in .csv
            files alone.

    Raises:
        UsageError: There is no such encoding, or a delimiter cannot be.
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    quoting: str = "auto"

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
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError):
            raise UsageError(
                f"encoding must be one that Python knows, such as utf-8, latin-1 or gb18030. "
                f"Received: {self.encoding!r}"
            ) from None

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> TableFormat:
        """The format that a task's options say; others of them are left alone."""
        names = [field.name for field in dataclasses.fields(cls)]
        given = {name: (options or {}).get(name) for name in names}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def is_table(self, path: files.PathLike) -> bool:
        """Whether a file is a table, by its ending or because a delimiter is named."""
        return self.delimiter is not None or file_kind(path) != "text"

    def lines(self, path: files.PathLike) -> Iterator[str]:
        """The lines of a file in this encoding.

        Raises:
            DataError: It is not in this encoding.
        """
        return (line for _, line in self.numbered_lines(path))

    def numbered_lines(self, path: files.PathLike, bad: BadRows | None = None) -> Iterator[tuple[int, str]]:
        """The lines of a file, each with its number from 1.

        Args:
            path: The file.
            bad: Takes lines that are not in this encoding; not of UTF-16 and UTF-32, where no line is sure after one.

        Raises:
            DataError: It is not in this encoding.
        """
        if "\n".encode(self.encoding) == b"\n":
            blocks = files.read_line_blocks(path, self.encoding, on_invalid=bad.skip if bad else None)
            for first, lines in blocks:
                yield from enumerate(lines, start=first)
            return
        # UTF-16 and UTF-32: their lines do not end with the byte 10 alone.
        number = 0
        try:
            with (
                files.damage_said(path, 1),
                files.open_binary(path) as handle,
                io.TextIOWrapper(handle, self.encoding, newline="\n") as text,
            ):
                for line in text:
                    number += 1
                    yield number, line.rstrip("\r\n")
        except UnicodeError as problem:
            raise DataError(f"expected {self.encoding} text ({problem})", path, number + 1) from None


def check_there(path: files.PathLike) -> None:
    """Checks that a file exists; a table in memory always does.

    Raises:
        UsageError: The file does not exist.
    """
    if not isinstance(path, MemoryTable) and not Path(path).is_file():
        raise UsageError(f"{path}: no such file")


def file_kind(path: files.PathLike) -> str:
    """The kind of a table by its ending: "csv", "tsv", "json" or "text"; of compressed files by the ending before.

    A table in memory is read as "json".
    """
    if isinstance(path, MemoryTable):
        return "json"
    name = Path(path)
    ending = Path(name.stem).suffix if name.suffix.lower() in _COMPRESSED else name.suffix
    ending = ending.lower()
    if ending in JSON_ENDINGS:
        return "json"
    return {".csv": "csv", ".tsv": "tsv"}.get(ending, "text")
