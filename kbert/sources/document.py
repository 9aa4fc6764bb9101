"""Documents (lines of text that belong together, with their place), and the settings for reading them."""

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
"""The maximum size of a document in bytes. A document is held in memory as a whole, so this limits memory use."""

# Finds a character that is neither white space nor a control or format character. A line without one has no text.
has_text = re.compile(
    r"[^\s\x00-\x1f\x7f-\xa0\xad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffd]"
).search


@dataclasses.dataclass(frozen=True)
class Document:
    """Lines of text that belong together.

    Args:
        lines: The lines, each a sentence or a paragraph. No line is blank.
        path: The file or dataset of the document.
        line: The 1-based line (or row) where the document starts.
        size: The number of bytes in UTF-8, including line ends.
    """

    lines: tuple[str, ...]
    path: str
    line: int
    size: int


@dataclasses.dataclass(frozen=True)
class Reading:
    """The settings for reading documents, and counts of what was left out. It is passed to every reader.

    Args:
        text_field: The field or column with the text; "a.b" is field b of field a.
        document_separator: "blank-line" if blank lines separate documents, "line" if each line of a text file is a
            document.
        skip_invalid: Whether to leave out and count lines (or rows) that are not UTF-8, instead of raising an error.
        nfc: Whether to normalize text to Unicode's composed form, NFC.
        encoding: The encoding of files of lines.
        delimiter: The delimiter between the cells of a table; None depends on the format.
        quoting: "csv" if quotation marks enclose cells, "none" if they are text; "auto" depends on the format.
        bad: Counts invalid rows; None raises an error for the first of them.
        counts: The counter of lines and rows that are left out.
        start: The line of the file where reading starts, which must be the first line of a document; None means the
            beginning of the file.
        on_block: A function that is called with the start of each block of lines.
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
        """Returns the function to call for a line that is not UTF-8, or None if such a line is an error."""
        return (lambda error: self.invalid(error)) if self.skip_invalid else None

    def invalid(self, error: DataError) -> None:
        """Counts text that is not UTF-8, or raises `error`."""
        if not self.skip_invalid:
            raise error
        self.counts["invalid_utf8"] += 1

    def bad_row(self, error: DataError) -> None:
        """Counts an invalid row, or raises `error`."""
        if self.bad is None:
            raise error
        self.bad.skip(error)
        self.counts["bad_rows"] += 1

    def line_blocks(self, path: str) -> Iterator[tuple[int, list[str]]]:
        """Yields blocks of lines with the number of their first line (see `kbert.files.read_line_blocks`)."""
        return files.read_line_blocks(
            path,
            self.encoding,
            on_invalid=self.on_invalid(),
            advice=ADVICE,
            start=self.start,
            on_block=self.on_block,
        )

    def lines(self, lines: list[str]) -> list[str]:
        """Returns the lines that contain text, normalized if `nfc` is true."""
        kept = [line for line in lines if has_text(line)]
        if self.nfc:
            kept = [composed(line) for line in kept]
        return kept

    def document(self, text: str | bytes, path: str, line: int) -> Document | None:
        """Returns the document of a JSON object or a row, or None if it has no text, or is invalid and left out.

        Args:
            text: The text of the document.
            path: The file or dataset of the document.
            line: The 1-based line (or row) of the document.

        Raises:
            DataError: The document is larger than LARGEST_DOCUMENT, or not UTF-8.
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
    """Returns `line` in NFC."""
    return line if line.isascii() or unicodedata.is_normalized("NFC", line) else unicodedata.normalize("NFC", line)


def too_large(path: str, line: int, advice: str) -> DataError:
    """Returns the error for a document that is larger than LARGEST_DOCUMENT."""
    return DataError(
        f"expected documents of at most {LARGEST_DOCUMENT >> 20} MiB. The one that starts here is larger; {advice}",
        path,
        line,
    )
