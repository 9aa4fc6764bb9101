"""Files that are not text, told by how they begin."""

from __future__ import annotations

from kbert.errors import DataError
from kbert.files.paths import PathLike

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


def marked_encoding(begin: bytes) -> str | None:
    """The encoding that a byte order mark of UTF-16 or UTF-32 says; None without such a mark.

    Example:
        >>> marked_encoding("text".encode("utf-16"))
        'utf-16'
    """
    return next((name.lower() for mark, name in _MARKS.items() if begin.startswith(mark)), None)


def check_is_text(begin: bytes, path: PathLike, encoding: str) -> None:
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
