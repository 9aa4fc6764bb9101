import bz2
import gzip
import lzma

import pytest

from kbert.errors import DataError
from kbert.sources import document
from kbert.sources.document import Document
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source


def read(tmp_path, content, separator="blank-line", name="text.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(Source([path], SourceSettings(document_separator=separator)).documents())


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
    assert lines(Source([tmp_path / "1.txt", tmp_path / "2.txt"]).documents()) == [("1.txt",), ("2.txt",)]


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
    found = Source([path]).documents()
    assert next(found).lines == ("a",)
    with pytest.raises(DataError, match=r"text\.txt:4: .* byte 0xff at byte offset 6;"):
        next(found)


def test_a_document_too_large_is_refused_where_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "LARGEST_DOCUMENT", 1 << 20)
    text = "a\n\n" + ("x" * 999 + "\n") * 1048
    assert len(read(tmp_path, text)) == 2
    with pytest.raises(DataError, match=r"text\.txt:3: expected documents of at most 1 MiB.*--document-separator line"):
        read(tmp_path, text + "x" * 999)
    assert len(read(tmp_path, text + "x" * 999, separator="line")) == 1050


def test_a_line_without_a_visible_character_is_blank(tmp_path):
    found = read(tmp_path, "a\n\ufeff\u200b\n\x00b\n\x07\x1b\nc\ufffd\n\ufffd\nd")
    assert lines(found) == [("a",), ("\x00b",), ("c\ufffd",), ("d",)]


def test_invalid_lines_can_be_left_out(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"a\n\xff\nb\n\nc\xc3\n\n\xed\xa0\x80 a surrogate\nd\n")
    source = Source([path], SourceSettings(invalid_utf8="skip"))
    # A line that is left out is not blank: a and b stay together.
    assert [(found.lines, found.line) for found in source.documents()] == [(("a", "b"), 1), (("d",), 8)]
    assert source.counts == {"invalid_utf8": 3}
    assert list(source.lines()) == ["a", "b", "d"]


def test_composed_form(tmp_path):
    assert lines(read(tmp_path, "e\u0301")) == [("e\u0301",)]
    (tmp_path / "text.txt").write_text("e\u0301\n", encoding="utf-8")
    source = Source([tmp_path / "text.txt"], SourceSettings(nfc=True))
    assert [found.lines for found in source.documents()] == [("é",)]
    assert list(source.lines()) == ["é"]
