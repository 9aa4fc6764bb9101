"""Files that are not text, recognized by their first bytes."""

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
    b"PK\x03\x04": "a zip file (office documents are zip files); unpack it, or save its text",
    b"%PDF-": "a PDF; extract its text first, as pdftotext does",
}


_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x1b"))
"""Control characters that do not occur in text."""


def marked_encoding(begin: bytes) -> str | None:
    """Returns the encoding that a byte order mark of UTF-16 or UTF-32 says; None without such a mark.

    Example:
        >>> marked_encoding("text".encode("utf-16"))
        'utf-16'
    """
    return next((name.lower() for mark, name in _MARKS.items() if begin.startswith(mark)), None)


def check_is_text(begin: bytes, path: PathLike, encoding: str) -> None:
    """Refuses files that are plainly not text with byte 10 as its line end.

    Args:
        begin: The first bytes of the file.
        path: The file, for the message.
        encoding: The encoding that was expected, for the message.

    Raises:
        DataError: The file is binary, has another encoding, or has line ends of CR only.
    """
    for mark, name in _MARKS.items():
        if begin.startswith(mark):
            raise DataError(
                f"expected {encoding} text. Received: {name}, according to the byte order mark; convert it: "
                f"iconv -f {name} -t UTF-8",
                path,
            )
    head = begin[:4096]
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls < 8 or controls * 20 < len(head):
        if b"\r" in begin.strip() and b"\n" not in begin:
            raise DataError(
                "expected lines that end with LF or CR LF. Received: lines that end with CR only; convert it: "
                r"tr '\r' '\n'",
                path,
            )
        return
    what = next((what for mark, what in _BINARY.items() if begin.startswith(mark)), None)
    if what is None and head.count(0) * 4 > len(head):
        what = "many bytes of 0: UTF-16 without a byte order mark (convert it: iconv -f UTF-16LE), or a binary file"
    raise DataError(f"expected {encoding} text. Received: {what or 'a binary file; name a text file'}", path)
