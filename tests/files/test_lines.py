import bz2
import gzip
import lzma

import pytest

from kbert import files
from kbert.errors import DataError, UsageError

COMPRESSIONS = {"": bytes, ".gz": gzip.compress, ".BZ2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_only_lf_ends_a_line(tmp_path, suffix):
    path = tmp_path / f"text.txt{suffix}"
    # Only LF ends a line; U+2028, U+0085 and a form feed do not. A byte order mark goes at the start alone.
    text = "\ufeffone\r\ntwo\u2028\x85\x0c2\n\n\ufefflast"
    path.write_bytes(COMPRESSIONS[suffix](text.encode()))
    assert list(files.read_lines(path)) == ["one", "two\u2028\x85\x0c2", "", "\ufefflast"]


def test_zst_lines_or_what_to_install(tmp_path):
    path = tmp_path / "text.zst"
    try:
        import zstandard
    except ImportError:
        path.write_bytes(b"")
        with pytest.raises(UsageError, match=r"pip install 'kbert\[zstd\]'"):
            list(files.read_lines(path))
    else:
        path.write_bytes(zstandard.compress(b"one\ntwo\n"))
        assert list(files.read_lines(path)) == ["one", "two"]


@pytest.mark.parametrize(("mark", "offset"), [(b"", 10), (b"\xef\xbb\xbf", 13)])
def test_bad_utf8_is_located(tmp_path, mark, offset):
    path = tmp_path / "latin1.txt"
    path.write_bytes(mark + b"the cat\r\nc\xe9t\xe9\n")
    with pytest.raises(DataError) as caught:
        list(files.read_lines(path))
    assert (caught.value.path, caught.value.line) == (str(path), 2)
    assert f"byte 0xe9 at byte offset {offset};" in str(caught.value)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert path.read_bytes()[offset] == 0xE9


def test_other_encodings(tmp_path):
    (tmp_path / "x").write_bytes(b"\xe9t\xe9\n")
    assert list(files.read_lines(tmp_path / "x", encoding="latin-1")) == ["été"]


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_lines_that_do_not_decode_are_told_of(tmp_path, monkeypatch, block):
    """With their numbers and offsets, however the file is cut while it is read."""
    monkeypatch.setattr(files.lines, "_BLOCK_SIZE", block)
    path = tmp_path / "x.txt"
    path.write_bytes(b"\xef\xbb\xbfone\nb\xffad\n\ntwo\r\n\xfe\nthree")
    told = []
    found = [
        (first + place, line)
        for first, lines in files.read_line_blocks(path, on_invalid=told.append, advice="do this")
        for place, line in enumerate(lines)
    ]
    assert found == [(1, "one"), (3, ""), (4, "two"), (6, "three")]
    assert [error.line for error in told] == [2, 5]
    assert "byte 0xff at byte offset 8; do this" in str(told[0])
    assert "byte 0xfe at byte offset 18; do this" in str(told[1])


def test_a_line_too_long_to_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files.lines, "LONGEST_LINE", 1 << 20)
    monkeypatch.setattr(files.lines, "_BLOCK_SIZE", 1 << 10)
    path = tmp_path / "x.txt"
    path.write_bytes(b"fine\n" + b"\0" * (1 << 21))
    lines = files.read_lines(path)
    assert next(lines) == "fine"
    with pytest.raises(DataError, match=r"x\.txt: expected lines of at most 1 MiB"):
        next(lines)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be"])
@pytest.mark.parametrize("compressed", [True, False])
def test_files_with_a_wide_byte_order_mark(tmp_path, encoding, compressed):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    content = mark + "one\r\n\u010a\n\nthree".encode(encoding)  # U+010A has the byte 10
    path = tmp_path / ("x.gz" if compressed else "x")
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert list(files.read_line_blocks(path)) == [(1, ["one", "\u010a", "", "three"])]
    assert files.text_head(path).startswith(b"one\r\n\xc4\x8a\n")
    assert files.has_wide_mark(path)


def test_a_wide_file_that_is_cut(tmp_path):
    (tmp_path / "x").write_bytes("one\ntwo".encode("utf-16")[:-1])
    with pytest.raises(DataError, match=r"x:2: expected utf-16 text \("):
        list(files.read_line_blocks(tmp_path / "x"))


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le", "utf-32-be"])
def test_a_byte_order_mark_in_another_encoding(tmp_path, encoding):
    (tmp_path / "x").write_bytes("\ufeff中文\n\ufeff二\n".encode(encoding))
    assert list(files.read_lines(tmp_path / "x", encoding)) == ["中文", "\ufeff二"]
