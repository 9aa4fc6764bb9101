"""A document: lines of text that belong together, and where they come from."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator

from kbert import files
from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows

LARGEST_DOCUMENT = 32 << 20
"""Bytes; a document is held whole, so this bounds memory."""

# Neither white space nor a control or format character: a line without one holds no text.
has_text = re.compile(
    r"[^\s\x00-\x1f\x7f-\xa0\xad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffd]"
).search


@dataclasses.dataclass(frozen=True)
class Document:
    """Lines of text that belong together.

    Args:
        lines: Its lines, none of them blank: sentences or paragraphs.
        path: The file or dataset it is in.
        line: The 1-based line (or row) where it starts.
        size: Bytes of UTF-8, line ends included.
    """

    lines: tuple[str, ...]
    path: str
    line: int
    size: int


@dataclasses.dataclass(frozen=True)
class Reading:
    """How documents are read, and what was left out while doing so: passed to every reader.

    Args:
        text_field: The field or column with the text; "a.b" is field b of field a.
        document_separator: "blank-line", or "line" when each line of a text file is a document.
        skip_invalid: Leave out and count lines (or rows) that are not UTF-8, rather than fail.
        nfc: Bring text to Unicode's composed form, NFC.
        encoding: The encoding of files of lines.
        delimiter: What stands between the cells of a table; None goes by the format.
        quoting: "csv" or "none": whether quotation marks enclose cells, or are text; "auto" goes by the format.
        bad: Takes rows that cannot be used; without it they are errors.
        counts: Where what was left out is counted.
        start: The line of a file to begin with; it begins a document.
        on_block: Told where blocks of lines begin.
    """

    text_field: str = "text"
    document_separator: str = "blank-line"
    skip_invalid: bool = False
    nfc: bool = False
    encoding: str = "utf-8"
    delimiter: str | None = None
    quoting: str = "auto"
    bad: BadRows | None = None
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    start: files.LineStart | None = None
    on_block: Callable[[files.LineStart], None] | None = None

    def on_invalid(self) -> Callable[[DataError], None] | None:
        """What a reader of lines calls for a line that is not UTF-8; None when it shall fail."""
        return (lambda error: self.invalid(error)) if self.skip_invalid else None

    def invalid(self, error: DataError) -> None:
        """Counts text that is not UTF-8, or raises `error`."""
        if not self.skip_invalid:
            raise error
        self.counts["invalid_utf8"] += 1

    def bad_row(self, error: DataError) -> None:
        """Counts a row that cannot be used, or raises `error`."""
        if self.bad is None:
            raise error
        self.bad.skip(error)
        self.counts["bad_rows"] += 1

    def line_blocks(self, path: str) -> Iterator[tuple[int, list[str]]]:
        """Runs of a file's lines with the number of their first: see `kbert.files.read_line_blocks`."""
        return files.read_line_blocks(
            path,
            self.encoding,
            on_invalid=self.on_invalid(),
            advice=ADVICE,
            start=self.start,
            on_block=self.on_block,
        )

    def lines(self, lines: list[str]) -> list[str]:
        """The lines that hold text, in NFC where asked."""
        kept = [line for line in lines if has_text(line)]
        if self.nfc:
            kept = [composed(line) for line in kept]
        return kept

    def document(self, text: str | bytes, path: str, line: int) -> Document | None:
        """The document of one JSON object or one row; None if it holds no text, or is invalid and left out.

        Raises:
            DataError: It is larger than LARGEST_DOCUMENT, or not UTF-8.
        """
        try:
            if isinstance(text, str):
                size = len(text) if text.isascii() else len(text.encode("utf-8"))
            else:
                size, text = len(text), text.decode("utf-8")
        except UnicodeDecodeError as problem:
            received = f"byte 0x{problem.object[problem.start]:02x} at byte offset {problem.start} of it"
            self.invalid(
                DataError(f"expected UTF-8 text in {self.text_field!r}. Received {received}; {ADVICE}", path, line)
            )
            return None
        except UnicodeEncodeError as problem:
            half = f"\\u{ord(problem.object[problem.start]):04x}"
            received = f"half a surrogate pair, {half}, at character {problem.start} of it"
            self.invalid(DataError(f"expected text in {self.text_field!r}. Received {received}; {ADVICE}", path, line))
            return None
        if size >= LARGEST_DOCUMENT:
            raise too_large(path, line, "cut it into several")
        lines = text.split("\n")
        if "\r" in text:
            lines = [part.rstrip("\r") for part in lines]
        lines = self.lines(lines)
        return Document(tuple(lines), path, line, size + 1) if lines else None


ADVICE = "repair it (iconv converts from other encodings), or leave such lines out with --invalid-utf8 skip"


def composed(line: str) -> str:
    """`line` in NFC."""
    return line if line.isascii() or unicodedata.is_normalized("NFC", line) else unicodedata.normalize("NFC", line)


def too_large(path: str, line: int, advice: str) -> DataError:
    """The error about a document that cannot be held."""
    return DataError(
        f"expected documents of at most {LARGEST_DOCUMENT >> 20} MiB. The one that starts here is larger; {advice}",
        path,
        line,
    )
