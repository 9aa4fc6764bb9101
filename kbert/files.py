"""Files that are never half-written, and text files however they are compressed.

A reader sees the old content or the new one, never a part: everything is written beside its target,
synced to disk and renamed.
"""

from __future__ import annotations

import bz2
import contextlib
import glob
import gzip
import json
import lzma
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from kbert import zstd
from kbert.errors import DataError, KbertError, UsageError

PathLike = str | os.PathLike[str]

LONGEST_LINE = 64 << 20
"""Bytes; a line is held whole, so this bounds memory."""
_BLOCK_SIZE = 1 << 20


class LineStart(NamedTuple):
    """Where a line of a file begins: its byte offset and its 1-based number."""

    offset: int
    number: int


@contextlib.contextmanager
def atomic_path(target: PathLike) -> Iterator[Path]:
    """Gives the path of an empty file beside `target` which takes its place when the block ends well.

    When the block raises, the temporary file is removed and `target` is as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(descriptor)
    try:
        yield Path(temporary)
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        # mkstemp makes the file private; give it what a plain open() would have given.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        sync_directory(target.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def atomic_file(target: PathLike) -> Iterator[BinaryIO]:
    """Opens a binary file beside `target` which takes its place when the block ends well."""
    with atomic_path(target) as temporary, open(temporary, "wb") as handle:
        yield handle


def write_text(target: PathLike, text: str) -> None:
    """Writes `text` as UTF-8 in place of `target`, atomically."""
    with atomic_file(target) as handle:
        handle.write(text.encode("utf-8"))


def write_json(target: PathLike, value: Any) -> None:
    """Writes `value` as indented JSON in place of `target`, atomically; keys keep their order."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: PathLike, error: Callable[[str], KbertError]) -> Any:
    """Reads a JSON file; what is wrong with it is raised as `error(message)`."""
    try:
        return json.loads(Path(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{os.fspath(path)} is missing") from None
    except (ValueError, RecursionError) as problem:
        raise error(f"{os.fspath(path)} is not JSON: {problem}") from None


@contextlib.contextmanager
def atomic_directory(target: PathLike) -> Iterator[Path]:
    """Gives an empty folder beside `target` which takes its name when the block ends well.

    Raises:
        FileExistsError: `target` exists: a folder cannot be replaced in one step.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                with open(os.path.join(folder, name), "rb") as handle:
                    os.fsync(handle.fileno())
            sync_directory(folder)
        os.chmod(temporary, 0o777 & ~_umask())
        os.rename(temporary, target)
        sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sync_directory(folder: PathLike) -> None:
    """Makes a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def expand_inputs(inputs: Sequence[PathLike]) -> list[Path]:
    """Lists the files that paths, globs and folders name: sorted within each, hidden files left out.

    A glob that names folders alone stands for the files in them.

    Raises:
        UsageError: An input names no file.
    """
    files: list[Path] = []
    for item in inputs:
        path = Path(item)
        if path.is_dir():
            found = _files_in(path)
        elif path.exists():
            found = [path]
        else:
            matches = sorted(Path(p) for p in glob.glob(os.fspath(item), recursive=True))
            found = [match for match in matches if match.is_file()]
            if not found:  # folders alone
                found = list(dict.fromkeys(file for match in matches for file in _files_in(match)))
        if not found and path.is_dir():
            raise UsageError(f"expected a folder with files. Received one without, hidden ones aside: {item}")
        if not found:
            raise UsageError(f"no such file: expected a text file, a folder or a glob. Received: {item}")
        files.extend(found)
    return files


def _files_in(folder: Path) -> list[Path]:
    """All files below a folder, sorted; hidden ones, and those in hidden folders, left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


_OPENERS: dict[str, Callable[[str], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": zstd.open_zstd,
}


def is_compressed(path: PathLike) -> bool:
    """Whether `open_binary` decompresses a file: it goes by the suffix."""
    return Path(path).suffix.lower() in _OPENERS


def open_binary(path: PathLike) -> BinaryIO:
    """Opens a file for reading, decompressing .gz, .bz2, .xz and .zst (extra `zstd`)."""
    opener = _OPENERS.get(Path(path).suffix.lower())
    return opener(os.fspath(path)) if opener else open(path, "rb")


def read_head(path: PathLike, size: int) -> bytes:
    """The first `size` bytes of a file, decompressed.

    Raises:
        DataError: Its compressed stream is damaged.
    """
    with damage_said(path, 1), open_binary(path) as handle:
        return handle.read(size)


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
    r"""Yields runs of lines with the 1-based number of their first: the fast way through a large file.

    A run is about a megabyte, which is decoded and split at once.

    Args:
        path: A text file, compressed or not.
        encoding: One in which byte 10 is the line end and nothing else.
        on_invalid: Told of each line that is not `encoding`, which then is left out (it ends a run, so that the numbers
            stay right). Without it the first such line raises.
        advice: The end of the message about such a line: the way out.
        start: Begin with this line of a file that is not compressed.
        on_block: Told where each block of bytes begins, which is where a run begins.

    Raises:
        DataError: As `read_lines`.
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
                _check_is_text(block, path, encoding)
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


_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""Byte order marks, longest first."""
_BINARY = {
    b"\x1f\x8b": "a gzip file; let its name end in .gz",
    b"BZh": "a bzip2 file; let its name end in .bz2",
    b"\xfd7zXZ\0": "an xz file; let its name end in .xz",
    b"\x28\xb5\x2f\xfd": "a zstd file; let its name end in .zst",
    b"PK\x03\x04": "a zip file, as office documents are, too; unpack it, or save its text",
    b"%PDF-": "a PDF; extract its text first, as pdftotext does",
}


_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x1b"))
"""Characters that no text has, in no encoding of the kind."""


def _check_is_text(begin: bytes, path: PathLike, encoding: str) -> None:
    """Refuses what is plainly no text whose line end is byte 10, by how a file begins."""
    for mark, name in _MARKS.items():
        if begin.startswith(mark):
            raise DataError(
                f"expected {encoding} text. Received {name}, as the file's byte order mark says; convert it: "
                f"iconv -f {name} -t UTF-8",
                path,
            )
    head = begin[:4096]
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls < 8 or controls * 20 < len(head):
        if b"\r" in begin.strip() and b"\n" not in begin:
            raise DataError(
                "expected lines that end with LF or CR LF. Received CR alone, as of old Macs; convert it: "
                r"tr '\r' '\n'",
                path,
            )
        return
    what = next((what for mark, what in _BINARY.items() if begin.startswith(mark)), None)
    if what is None and head.count(0) * 4 > len(head):
        what = "bytes of which many are 0: UTF-16 without a byte order mark (convert it: iconv -f UTF-16LE), or no text"
    raise DataError(f"expected {encoding} text. Received {what or 'something that is no text'}", path)


@contextlib.contextmanager
def damage_said(path: PathLike, line: int | None = None) -> Iterator[None]:
    """Turns what the decompressors raise into one error; what the system refuses stays as it is."""
    try:
        yield
    except (KbertError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as problem:
        # zstandard's own error is known by name, since the library need not be there.
        known = isinstance(problem, EOFError | lzma.LZMAError | zlib.error | OSError)
        if not known and type(problem).__name__ != "ZstdError":
            raise
        if isinstance(problem, OSError) and problem.errno is not None:
            raise  # of the system; gzip's and bz2's own have no number
        raise DataError(f"the compressed file is damaged ({problem})", path, line) from None


def _line_blocks(handle: BinaryIO, path: PathLike) -> Iterator[bytes]:
    """Bytes in blocks that end with a line."""
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
                f"expected lines of at most {LONGEST_LINE >> 20} MiB. Received a longer one, which begins "
                f"{parts[0][:20]!r}; is this a text file?",
                path,
            )
    if held:
        yield b"".join(parts)


def _split(text: str) -> list[str]:
    """The lines of `text`, which ends with a line."""
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
    """The lines of a block that does not decode, up to the wrong ones, which are told of or raised."""
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
    """Where line `number` begins, looked for from an earlier line on, in a file that is not compressed."""
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
