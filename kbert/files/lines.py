"""The lines of text files, compressed or not, in bounded memory."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from kbert.errors import DataError
from kbert.files.compression import damage_as_error, open_binary, read_head
from kbert.files.paths import PathLike
from kbert.files.text_check import check_is_text, marked_encoding

LONGEST_LINE = 64 << 20
"""In bytes. A line is held in memory as a whole, so this bounds memory."""
_BLOCK_SIZE = 1 << 20
_MARK = "\ufeff"
"""The byte order mark, which other encodings than UTF-8 can have, too, such as gb18030 and utf-16-le."""


class LineStart(NamedTuple):
    """The beginning of a line: its byte offset in the file, and its 1-based number."""

    offset: int
    number: int


def read_lines(path: PathLike, encoding: str = "utf-8") -> Iterator[str]:
    r"""Yields the lines of a text file without their line ends (LF or CR LF), a byte order mark removed.

    Raises:
        DataError: The file is not `encoding`, its compressed stream is damaged, or a line is longer than LONGEST_LINE.
    """
    for _, lines in read_line_blocks(path, encoding):
        yield from lines


def read_line_blocks(
    path: PathLike,
    encoding: str = "utf-8",
    *,
    on_invalid: Callable[[DataError], None] | None = None,
    advice: str = "convert the file with iconv, or name its encoding where asked",
    start: LineStart | None = None,
    on_block: Callable[[LineStart], None] | None = None,
) -> Iterator[tuple[int, list[str]]]:
    r"""Yields blocks of lines, each with the 1-based number of its first line: the fast way through a large file.

    A block is about a megabyte, which is decoded and split at once.

    Args:
        path: A text file, compressed or not.
        encoding: An encoding that Python knows. A file with the byte order mark of UTF-16 or UTF-32 is read as that.
        on_invalid: Called with the error of each line that is not `encoding`; such lines are left out, and end a block,
            so that numbers stay right. Without this function the first such line raises its error.
        advice: The end of the message about such a line: the way out.
        start: The line to begin with, in a file that is not compressed.
        on_block: Called with the beginning of each block, except in UTF-16 and UTF-32.

    Raises:
        DataError: See `read_lines`.
    """
    offset, number = start or LineStart(0, 1)
    wide = None if offset else _wide_encoding(path, encoding)
    if wide:
        yield from _wide_blocks(path, wide)
        return
    with open_binary(path) as handle:
        if offset:
            handle.seek(offset)
        blocks = _line_blocks(handle, path)
        while True:
            with damage_as_error(path, number):
                block = next(blocks, b"")
            if not block:
                return
            if on_block:
                on_block(LineStart(offset, number))
            if offset == 0:
                check_is_text(block, path, encoding)
            if offset == 0 and block.startswith(b"\xef\xbb\xbf"):
                block, offset = block[3:], 3
            try:
                text = block.decode(encoding)
                lines = _split(text.removeprefix(_MARK) if number == 1 else text)
            except UnicodeDecodeError:
                yield from _checked_lines(block, encoding, path, number, offset, on_invalid, advice)
                number += block.count(b"\n")
            else:
                yield number, lines
                number += len(lines)
            offset += len(block)


def has_wide_mark(path: PathLike) -> bool:
    """Returns whether a file begins with the byte order mark of UTF-16 or UTF-32, and is read from its start."""
    return marked_encoding(read_head(path, 4)) is not None


def text_head(path: PathLike, size: int = 1 << 14) -> bytes:
    """Returns the first `size` bytes of a file, decompressed, without a byte order mark; of UTF-16 and UTF-32 as UTF-8.

    Raises:
        DataError: Its compressed stream is damaged.
    """
    head = read_head(path, size)
    marked = marked_encoding(head)
    return head.decode(marked, "ignore").encode() if marked else head.removeprefix(b"\xef\xbb\xbf")


def _wide_encoding(path: PathLike, encoding: str) -> str | None:
    """Returns the encoding whose lines do not end with the byte 10 alone; None for others."""
    if "\n".encode(encoding) != b"\n":
        return encoding
    if codecs.lookup(encoding).name != "utf-8" or not Path(path).is_file():
        return None
    return marked_encoding(read_head(path, 4))


def _wide_blocks(path: PathLike, encoding: str) -> Iterator[tuple[int, list[str]]]:
    number = 1
    lines: list[str] = []
    held = 0
    with (
        damage_as_error(path, 1),
        open_binary(path) as handle,
        io.TextIOWrapper(handle, encoding, newline="\n") as text,
    ):
        while True:
            try:
                line = text.readline()
            except UnicodeError as problem:
                if lines:
                    yield number, lines
                raise DataError(f"expected {encoding} text ({problem})", path, number + len(lines)) from None
            if not line or held > _BLOCK_SIZE:
                if lines:
                    yield number, lines
                number, lines, held = number + len(lines), [], 0
            if not line:
                return
            if number == 1 and not lines:
                line = line.removeprefix(_MARK)
            lines.append(line.rstrip("\r\n"))
            held += len(line)


def _line_blocks(handle: BinaryIO, path: PathLike) -> Iterator[bytes]:
    """Yields blocks of bytes, each of which ends with a line end."""
    parts: list[bytes] = []
    held = 0
    while data := handle.read(_BLOCK_SIZE):
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, data[:end]))
            parts, held, data = [], 0, data[end:]
        parts.append(data)
        held += len(data)
        if held > LONGEST_LINE:
            raise DataError(
                f"expected lines of at most {LONGEST_LINE >> 20} MiB. Received: a longer one, which begins "
                f"{parts[0][:20]!r}; check that this is a text file",
                path,
            )
    if held:
        yield b"".join(parts)


def _split(text: str) -> list[str]:
    """Returns the lines of `text`, which ends with a line end or with the last line of the file."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if "\r" in text:
        lines = [line.rstrip("\r") for line in lines]
    return lines


def _checked_lines(
    block: bytes,
    encoding: str,
    path: PathLike,
    number: int,
    offset: int,
    on_invalid: Callable[[DataError], None] | None,
    advice: str,
) -> Iterator[tuple[int, list[str]]]:
    """Yields the lines of a block that does not decode as a whole; passes invalid ones to `on_invalid`, or raises."""
    good: list[str] = []
    first = number
    for line, raw in enumerate(_raw_lines(block), start=number):
        try:
            good.append(raw.decode(encoding).rstrip("\r\n"))
        except UnicodeDecodeError as problem:
            error = DataError(
                f"expected {encoding} text. Received byte 0x{raw[problem.start]:02x} at byte offset "
                f"{offset + problem.start}; {advice}",
                path,
                line,
            )
            if good:
                yield first, good
            if on_invalid is None:
                raise error from None
            on_invalid(error)
            good, first = [], line + 1
        offset += len(raw)
    if good:
        yield first, good


def line_start(path: PathLike, before: LineStart, number: int) -> LineStart:
    """Finds the beginning of line `number` in a file that is not compressed, by reading from the line `before`."""
    offset = before.offset
    with open(path, "rb") as handle:
        handle.seek(offset)
        for _ in range(number - before.number):
            offset += len(handle.readline())
    return LineStart(offset, number)


def _raw_lines(block: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in block.split(b"\n")]
    if lines[-1] == b"\n":
        lines.pop()
    return lines
