"""The lines of text files, compressed or not, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from kbert.errors import DataError
from kbert.files.compression import damage_said, open_binary
from kbert.files.paths import PathLike
from kbert.files.text_check import check_is_text

LONGEST_LINE = 64 << 20
"""In bytes. A line is held in memory as a whole, so this bounds memory."""
_BLOCK_SIZE = 1 << 20


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
        encoding: An encoding in which byte 10 stands for the line end only.
        on_invalid: Called with the error of each line that is not `encoding`; such lines are left out, and end a block,
            so that numbers stay right. Without this function the first such line raises its error.
        advice: The end of the message about such a line: the way out.
        start: The line to begin with, in a file that is not compressed.
        on_block: Called with the beginning of each block.

    Raises:
        DataError: See `read_lines`.
    """
    offset, number = start or LineStart(0, 1)
    with open_binary(path) as handle:
        if offset:
            handle.seek(offset)
        blocks = _line_blocks(handle, path)
        while True:
            with damage_said(path, number):
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
                lines = _split(block.decode(encoding))
            except UnicodeDecodeError:
                yield from _checked_lines(block, encoding, path, number, offset, on_invalid, advice)
                number += block.count(b"\n")
            else:
                yield number, lines
                number += len(lines)
            offset += len(block)


def _line_blocks(handle: BinaryIO, path: PathLike) -> Iterator[bytes]:
    """Blocks of bytes, each of which ends with a line end."""
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
    """The lines of `text`, which ends with a line end or with the last line of the file."""
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
    """The lines of a block that does not decode as a whole; invalid lines are passed to `on_invalid`, or raised."""
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
    """The beginning of line `number` in a file that is not compressed, found by reading from the line `before`."""
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
