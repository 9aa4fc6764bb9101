import gzip

import pytest

from kbert.errors import DataError
from kbert.sources import document
from kbert.sources.delimited import delimiter_of, split_rows
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source


def read(tmp_path, content, name="rows.csv", **settings):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(found.lines, found.line) for found in Source([path], SourceSettings(**settings)).documents()]


def test_each_row_is_a_document_of_lines(tmp_path):
    content = '\ufeffid,text\r\n1,"one, ""two""\r\n\r\nthree"\r\n\r\n2,\r\n3,four\r\n'
    assert read(tmp_path, content) == [(('one, "two"', "three"), 2), (("four",), 7)]


def test_spaces_before_quoted_cells(tmp_path):
    assert read(tmp_path, 'id, "text"\r\n1, "one, two"\r\n2, three\r\n') == [(("one, two",), 2), (("three",), 3)]
    # Nothing else is a quoted cell after spaces.
    content = 'id,text\n1,"one, ""two"""\n2,"three, "\n" 3, ", four\n'
    assert read(tmp_path, content) == [(('one, "two"',), 2), (("three, ",), 3), ((" four",), 4)]


def test_in_tsv_quotation_marks_are_text(tmp_path):
    assert read(tmp_path, 'text\tid\n"one\t1\ntwo"\t2\n', "rows.tsv") == [(('"one',), 2), (('two"',), 3)]


def test_columns_by_number_of_files_without_names(tmp_path):
    assert read(tmp_path, "5,one\n4,two\n", text_field="2") == [(("one",), 1), (("two",), 2)]


def test_compressed_and_by_format(tmp_path):
    assert read(tmp_path, gzip.compress(b"text\none\n"), "rows.csv.gz") == [(("one",), 2)]
    assert read(tmp_path, "text\none\n", "rows.txt", format="csv") == [(("one",), 2)]


def test_lines_that_are_not_utf8_keep_the_numbers_right(tmp_path):
    assert read(tmp_path, b"text\none\n\xff\ntwo\n", invalid_utf8="skip") == [(("one",), 2), (("two",), 4)]


def test_a_long_cell(tmp_path):
    assert read(tmp_path, "text\n" + "a" * 200_000) == [(("a" * 200_000,), 2)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,body\n1,a\n", r"rows\.csv:1: expected a column 'text' .* the columns 'id', 'body'; .* --text-field 2\)"),
        ("id,text\n1,a\n2,b,c\n", r"rows\.csv:3: expected 2 cells, as in the first row\. Received 3"),
        ("id,text\n1\n", r"rows\.csv:2: expected 2 cells, as in the first row\. Received 1"),
        (
            'text\na\n"b\n' + "c\n" * 600_000,
            r"rows\.csv:3: expected documents of at most 1 MiB.*mark missing",
        ),
    ],
)
def test_rows_that_cannot_be(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(document, "LARGEST_DOCUMENT", 1 << 20)
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("sep=;\r\na;b\r\n", ";"),
        ('"sep=|"\na|b\n', "|"),
        ("text;label\na,b;1\n", ";"),
        ("text\tlabel\na,b\t1\n", "\t"),
        ("one; two\nthree\n", ","),  # texts without a header
        ("one; two\n", ","),
        ("a,b;c\n", ","),
        ('"a,b";c\nd;e\n', ";"),
        ('"a";"b"\n"c; d";"e"\n', ";"),
        ('"a"|"b"\n"c\n|d|";"e"|"f"\n', "|"),
        ('a;b\n5" c;d\ne;f\n', ";"),  # a quotation mark that is text
        ("text\na;b\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_that_the_first_line_says(tmp_path, content, delimiter):
    (tmp_path / "a.csv").write_text(content)
    assert delimiter_of(tmp_path / "a.csv", ",") == delimiter


def test_a_csv_of_excel(tmp_path):
    content = "sep=;\r\ntext;label\r\none;1,5\r\n;\r\ntwo;2\r\n"
    assert read(tmp_path, content) == [(("one",), 3), (("two",), 5)]
    assert read(tmp_path, content.encode("utf-16")) == [(("one",), 3), (("two",), 5)]


def test_rows_go_on_after_one_that_is_no_csv():
    rows = list(split_rows([(1, ["a,b", '"c"d,e', "f,g"])], ",", quoted=True, strict=True))
    assert [(line, cells) for line, cells in rows if isinstance(cells, list)] == [(1, ["a", "b"]), (3, ["f", "g"])]
    assert rows[1][0] == 2
    assert list(split_rows([(1, ['"a,b', "", "c"])], ",", quoted=False, strict=False)) == [(1, ['"a', "b"]), (3, ["c"])]


def test_bad_rows_can_be_skipped(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,a\n2,b,c\n3\n4,d\n")
    source = Source([path], SourceSettings(skip_bad=2))
    assert [found.lines for found in source.documents()] == [("a",), ("d",)]
    assert source.counts == {"bad_rows": 2}
    assert list(source.lines()) == ["a", "d"]  # a second pass says nothing again
    (record,) = caplog.records
    assert record.getMessage().startswith(f"2 bad rows were skipped; the first: {path}:3: expected 2 cells")
    assert record.getMessage().endswith(f"; the next: {path}:4")
    with pytest.raises(DataError, match=r"a\.csv:4: .* \(after 1 bad row that was skipped\)$"):
        list(Source([path], SourceSettings(skip_bad=1)).documents())


def test_how_tables_are_written_can_be_said(tmp_path):
    content = "text@n\n'\xe9@1\n".encode("latin-1")
    assert read(tmp_path, content, delimiter="@", encoding="latin-1") == [(("'\xe9",), 2)]
    assert read(tmp_path, 'text\tn\n"a\tb"\t1\n', "rows.tsv", quoting="csv") == [(("a\tb",), 2)]


def test_a_quotation_mark_that_is_never_closed_does_not_swallow_the_rest(tmp_path):
    content = 'id,text\n1,one\n2,"two\n3,three\n'
    message = (
        r"rows\.csv:3: expected a quotation mark that ends the cell\. Received the end of the file; .* --quoting none"
    )
    for settings in ({}, {"skip_bad": 1}):
        with pytest.raises(DataError, match=message):
            read(tmp_path, content, **settings)
    assert read(tmp_path, content, quoting="none") == [(("one",), 2), (('"two',), 3), (("three",), 4)]
    assert read(tmp_path, content.replace('"two', '"two"').removesuffix("\n"))[1:] == [(("two",), 3), (("three",), 4)]
