"""Files that are never half-written, and text files however they are compressed.

A reader sees the old content or the new one, never a part: everything is written beside its target,
synced to disk and renamed.
"""

from __future__ import annotations

import bz2
import contextlib
import glob
import gzip
import io
import json
import lzma
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from kbert.errors import DataError, KbertError, UsageError

PathLike = str | os.PathLike[str]


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

    Raises:
        UsageError: An input names no file.
    """
    files: list[Path] = []
    for item in inputs:
        path = Path(item)
        if path.is_dir():
            found = sorted(
                p
                for p in path.rglob("*")
                if p.is_file() and not any(part.startswith(".") for part in p.relative_to(path).parts)
            )
        elif path.exists():
            found = [path]
        else:
            found = sorted(Path(p) for p in glob.glob(os.fspath(item), recursive=True) if os.path.isfile(p))
        if not found:
            raise UsageError(f"no such file: expected a text file, a folder or a glob. Received: {item}")
        files.extend(found)
    return files


def open_binary(path: PathLike) -> BinaryIO:
    """Opens a file for reading, decompressing .gz, .bz2, .xz and .zst (extra `zstd`)."""
    openers: dict[str, Callable[[str], Any]] = {
        ".gz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
        ".zst": _open_zstd,
    }
    opener = openers.get(Path(path).suffix.lower())
    return opener(os.fspath(path)) if opener else open(path, "rb")


def _open_zstd(path: str) -> BinaryIO:
    try:
        import zstandard
    except ImportError:
        raise UsageError(f"{path}: reading .zst needs zstandard: pip install 'kbert[zstd]'") from None
    return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(open(path, "rb")))


def read_lines(path: PathLike, encoding: str = "utf-8") -> Iterator[str]:
    r"""Yields the lines of a text file without their line ends (LF or CR LF), a byte order mark removed.

    Raises:
        DataError: The file is not `encoding`, or its compressed stream is damaged.
    """
    offset = 0
    number = 0
    try:
        with open_binary(path) as handle:
            for number, raw in enumerate(handle, start=1):
                if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
                    raw, offset = raw[3:], offset + 3
                yield raw.rstrip(b"\r\n").decode(encoding)
                offset += len(raw)
    except UnicodeDecodeError as problem:
        raise DataError(
            f"expected {encoding} text. Received byte 0x{problem.object[problem.start]:02x} at byte offset "
            f"{offset + problem.start}; convert the file with iconv, or name its encoding where asked",
            path,
            number,
        ) from None
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise  # of the system; gzip's and bz2's own have no number
        raise DataError(f"the compressed file is damaged ({problem})", path, number + 1) from None
