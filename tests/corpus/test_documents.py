import bz2
import gzip
import lzma

import pytest

from kbert.corpus import documents
from kbert.corpus.documents import Document, chunk_documents, read_documents
from kbert.errors import DataError


def read(tmp_path, content, separator="blank-line", name="text.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_documents([path], separator))


def lines(found):
    return [document.lines for document in found]


def test_blank_lines_stand_between_documents(tmp_path):
    found = read(tmp_path, "\n\na é\nb\n \t\u2028\n\nc\n")
    path = str(tmp_path / "text.txt")
    assert found == [Document(("a é", "b"), path, 3, 7), Document(("c",), path, 7, 2)]


def test_each_line_is_a_document(tmp_path):
    found = read(tmp_path, "a\n\nb\nc", separator="line")
    assert [(document.lines, document.line) for document in found] == [(("a",), 1), (("b",), 3), (("c",), 4)]


def test_a_file_ends_its_document(tmp_path):
    for name in ("1.txt", "2.txt"):
        (tmp_path / name).write_text(f"{name}\n")
    assert lines(read_documents([tmp_path / "1.txt", tmp_path / "2.txt"])) == [("1.txt",), ("2.txt",)]


@pytest.mark.parametrize("content", ["", "\n", " \n\t\n\u3000"])
def test_no_documents(tmp_path, content):
    assert read(tmp_path, content) == []
    assert read(tmp_path, content, "line") == []


def test_windows_text(tmp_path):
    assert lines(read(tmp_path, b"\xef\xbb\xbfa\r\nb\r\n\r\nc\r\n")) == [("a", "b"), ("c",)]


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed(tmp_path, suffix, compress):
    assert lines(read(tmp_path, compress(b"a\n\nb\n"), name=f"text.{suffix}")) == [("a",), ("b",)]


def test_invalid_utf8_is_located_after_the_documents_before_it(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"a\n\nb\nc\xff\n")
    found = read_documents([path])
    assert next(found).lines == ("a",)
    with pytest.raises(DataError, match=r"text\.txt:4: .* byte 0xff at byte offset 6;"):
        next(found)


def test_a_document_too_large_is_refused_where_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LARGEST_DOCUMENT", 1 << 20)
    text = "a\n\n" + ("x" * 999 + "\n") * 1048
    assert len(read(tmp_path, text)) == 2
    with pytest.raises(DataError, match=r"text\.txt:3: expected documents of at most 1 MiB.*--document-separator line"):
        read(tmp_path, text + "x" * 999)
    assert len(read(tmp_path, text + "x" * 999, separator="line")) == 1050


def document(name, size):
    return Document((name,), "text.txt", ord(name), size)


def chunks(sizes, size):
    found = chunk_documents((document(chr(97 + i), n) for i, n in enumerate(sizes)), size)
    return ["".join(d.lines[0] for d in chunk) for chunk in found]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([5, 5, 5, 5], ["ab", "cd"]),
        ([1, 1], ["ab"]),
        ([50, 1, 50, 1], ["ab", "cd"]),  # never a document alone
        ([5, 5, 5, 5, 4], ["ab", "cde"]),  # a single one left over joins the last chunk
        ([5, 5, 2, 2], ["abcd"]),  # and so does less than half of a chunk
        ([5, 5, 3, 3], ["ab", "cd"]),
        ([5, 5, 50], ["abc"]),
        ([3, 3, 3, 3, 3, 3, 3, 3], ["abcd", "efgh"]),
    ],
)
def test_chunks(sizes, expected):
    assert chunks(sizes, 10) == expected


def test_one_document_is_refused():
    with pytest.raises(DataError, match=r"text\.txt:97: expected at least two documents.*a single document"):
        chunks([100], 10)


def test_no_document_is_refused():
    with pytest.raises(DataError, match=r"expected at least two documents. The input holds no text"):
        chunks([], 10)


def test_chunks_stream():
    """No more is read than the chunk after the one that is handed out."""
    seen = []

    def endless():
        for i in range(1_000_000):
            seen.append(i)
            yield document("x", 5)

    next(chunk_documents(endless(), 10))
    assert len(seen) == 4
