import gzip

import pytest

from kbert import files
from kbert.errors import DataError


@pytest.mark.parametrize(
    ("content", "received"),
    [
        ("text and more\n".encode("utf-16-le"), "many bytes of 0: UTF-16 without"),
        # Without its time: the bytes are part of the test's name, which every worker of xdist must find the same.
        (gzip.compress(bytes(10_000), mtime=0), r"a gzip file; let its name end in \.gz"),
        (b"PK\x03\x04" + bytes(range(256)), "a zip file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "a binary file; name a text file"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, received):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=f"x: expected utf-8 text. Received: {received}"):
        list(files.read_line_blocks(tmp_path / "x", on_invalid=lambda error: None))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_that_another_encoding_contradicts(tmp_path, encoding):
    (tmp_path / "x").write_bytes("text\n".encode(encoding))
    name = encoding.upper()
    with pytest.raises(
        DataError, match=f"x: expected latin-1 text. Received: {name}, according to the byte order mark"
    ):
        list(files.read_line_blocks(tmp_path / "x", "latin-1"))


def test_lines_of_old_macs_are_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"text,label\rgood,1\r")
    with pytest.raises(
        DataError,
        match=r"x: expected lines that end with LF or CR LF. Received: lines that end with CR only.*tr '\\r' '\\n'",
    ):
        list(files.read_lines(tmp_path / "x"))
    (tmp_path / "x").write_bytes(b"one line\r")
    assert list(files.read_lines(tmp_path / "x")) == ["one line"]


@pytest.mark.parametrize("text", ["a\x00b\x07\n", "\x1b[1mcolours\x1b[0m\n" * 9, "\t\t\t\f\n" * 9])
def test_text_with_some_control_characters_is_text(tmp_path, text):
    (tmp_path / "x").write_text(text)
    assert list(files.read_lines(tmp_path / "x")) == text.split("\n")[:-1]
