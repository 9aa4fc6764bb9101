import gzip
import json
import re

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import as_table
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.readers.kept_columns import KeptColumns
from kbert.tasks.readers.tables import read_table

COLUMNS = {"text": "text", "label": "label"}


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    return write


def read(path, columns=COLUMNS):
    return [(row.line, row.values) for row in read_table(path, columns)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("a.tsv", "tsv"),
        ("a.jsonl", "json"),
        ("a.ndjson", "json"),
        ("a.json", "json"),
        ("a.csv.gz", "csv"),
        ("a.tsv.XZ", "tsv"),
        ("a.jsonl.zst", "json"),
        ("a.txt", "text"),
        ("a.gz", "text"),
        ("csv", "text"),
    ],
)
def test_file_kind(name, kind):
    assert file_kind(f"/some.csv/{name}") == kind


def test_csv_with_quotes_and_line_breaks_keeps_line_numbers(write):
    path = write(
        "a.csv",
        'label,text,other\n1,plain,x\n"2","with ""quotes"", a comma\nand two\n\nline breaks",y\n\n3,last,z\n',
    )
    assert read(path) == [
        (2, {"text": "plain", "label": "1"}),
        (3, {"text": 'with "quotes", a comma\nand two\n\nline breaks', "label": "2"}),
        (8, {"text": "last", "label": "3"}),
    ]


def test_csv_of_windows(write):
    path = write("a.csv", b"\xef\xbb\xbftext,label\r\nfine,1\r\n\r\nbad,0")
    assert read(path) == [(2, {"text": "fine", "label": "1"}), (4, {"text": "bad", "label": "0"})]


def test_a_quote_that_never_ends_is_told_with_the_line_it_began_in(write):
    path = write("a.csv", 'text,label\nfine,1\n"never,2\nended,3\n')
    with pytest.raises(
        DataError, match=r"a\.csv:3: the row is not CSV \(.*\); if quotation marks are text, give --quoting none$"
    ):
        read(path)


def test_a_row_that_is_no_csv_is_skipped_where_that_is_allowed(write):
    path = write("a.csv", 'text,label\nfine,1\n"oops" there,2\n"two\nlines",3\n')
    bad = BadRows(1)
    rows = [(row.line, row.values["text"]) for row in read_table(path, COLUMNS, bad=bad)]
    assert rows == [(2, "fine"), (4, "two\nlines")]
    assert str(bad.problems[0]).startswith(f"{path}:3: the row is not CSV (")
    # What follows a quotation mark that never ends is no row: it is never skipped. Nor is the header.
    for content, line in (('text,label\n"never,2\nended,3\n', 2), ('"text" ,label\nfine,1\n', 1)):
        with pytest.raises(DataError, match=rf"a\.csv:{line}: the row is not CSV"):
            list(read_table(write("a.csv", content), COLUMNS, bad=BadRows(9)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b'text,label\n"caf\xe9",1\n"two\nlines",0\n'),
        ("a.tsv", b"text\tlabel\ncaf\xe9\t1\n\nlast\t0\n"),
        (
            "a.jsonl",
            b'{"text": "first", "label": 1}\n{"text": "caf\xe9", "label": 1}\n\n{"text": "last", "label": 0}\n',
        ),
    ],
)
def test_a_line_in_another_encoding_is_skipped_where_that_is_allowed(write, name, content):
    path = write(name, content)
    bad = BadRows(1)
    rows = [row.line for row in read_table(path, COLUMNS, bad=bad)]
    assert rows == {"a.csv": [3], "a.tsv": [4], "a.jsonl": [1, 4]}[name]
    assert bad.count == 1
    with pytest.raises(DataError, match="expected utf-8 text"):
        read(path)


def test_a_text_of_many_characters(write):
    path = write("a.csv", f"text,label\n{'word ' * 60_000},1\n")
    ((line, values),) = read(path)
    assert (line, len(values["text"])) == (2, 300_000)


def test_quotes_in_tsv_are_text(write):
    path = write("a.tsv", 'text\tlabel\n"an open quote\t1\n\nit is "so", he said\t0\n')
    assert read(path) == [
        (2, {"text": '"an open quote', "label": "1"}),
        (4, {"text": 'it is "so", he said', "label": "0"}),
    ]


def test_json_lines(write):
    path = write(
        "a.jsonl",
        '{"text": "ä\\nb", "label": 1}\n\n{"label": true, "text": "c", "more": [1]}\n{"label": 0.5, "text": ""}\n',
    )
    assert read(path) == [
        (1, {"text": "ä\nb", "label": "1"}),
        (3, {"text": "c", "label": "true"}),
        (4, {"text": "", "label": "0.5"}),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"expected a JSON object a line \(.*\); write each object in a line of its own, as `jq -c .` does$"),
        ("[1]", r"expected a JSON object a line\. Received list$"),
        ('{"text": "a"}', r"there is no key 'label'; the object has 'text'$"),
        ('{"text": "a", "label": null}', r"'label' must be text or a number\. Received: None$"),
        ('{"text": ["a"], "label": 1}', r"'text' must be text or a number\. Received: \['a'\]$"),
    ],
)
def test_json_lines_that_cannot_be(write, line, message):
    path = write("a.jsonl", f'{{"text": "a", "label": 1}}\n{line}\n')
    with pytest.raises(DataError, match=rf"a\.jsonl:2: {message}"):
        read(path)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv.gz"])
def test_compressed(write, name):
    separator = "," if "csv" in name else "\t"
    path = write(name, gzip.compress(f"text{separator}label\nfine{separator}1\n".encode()))
    assert read(path) == [(2, {"text": "fine", "label": "1"})]


def test_columns_by_number_count_from_one_and_mean_no_header(write):
    path = write("a.csv", "1,fine,x\n0,bad,y\n")
    assert read(path, {"text": "2", "label": "1"}) == [
        (1, {"text": "fine", "label": "1"}),
        (2, {"text": "bad", "label": "0"}),
    ]


def test_column_zero(write):
    with pytest.raises(UsageError, match=r"^column numbers count from 1\. Received: 0$"):
        read(write("a.csv", "a,b\n"), {"text": "0", "label": "1"})


def test_names_and_numbers_mixed(write):
    with pytest.raises(UsageError, match=r"^columns must be all names, .* Received: text, 1$"):
        read(write("a.csv", "text,b\n"), {"text": "text", "label": "1"})


def test_a_missing_column(write):
    path = write("a.csv", "\nsentence,label\na,1\n")
    with pytest.raises(
        DataError,
        match=r"a\.csv:2: there is no column 'text'; the header has 'sentence', 'label'\. "
        r"Name another with --text-column, or give 1-based numbers",
    ):
        read(path)


@pytest.mark.parametrize(("columns", "line"), [(COLUMNS, 3), ({"text": "1", "label": "2"}, 3), ({"label": "2"}, 3)])
def test_a_row_that_is_too_short(write, columns, line):
    path = write("a.tsv", "text\tlabel\nfine\t1\nbad\n")
    with pytest.raises(DataError, match=rf"a\.tsv:{line}: expected at least 2 columns\. Received 1$"):
        read(path, columns)


def test_rows_before_a_bad_one_are_given(write):
    rows = read_table(write("a.csv", "text,label\nfine,1\nbad\n"), COLUMNS)
    assert next(rows).line == 2
    with pytest.raises(DataError):
        next(rows)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_an_empty_file(write, name):
    with pytest.raises(DataError, match=r"expected a header and rows\. The file is empty$"):
        read(write(name, ""))


def test_bytes_that_are_no_utf_8(write):
    with pytest.raises(DataError, match=r"a\.csv:2: expected utf-8 text\. Received byte 0xfc at byte offset 12;"):
        read(write("a.csv", b"text,label\nf\xfcr,1\n"))


def test_files_that_are_no_table(write, tmp_path):
    with pytest.raises(
        UsageError, match=r"a\.txt: expected a table, by its ending: \.csv, \.tsv, \.jsonl, \.parquet or \.xlsx"
    ):
        read(write("a.txt", "text\n"))
    with pytest.raises(UsageError, match=r"b\.csv: no such file$"):
        read(tmp_path / "b.csv")


# === Tables as users have them ===


def test_several_columns_are_joined(write):
    path = write("a.csv", '3,"A title","A body"\n1,,Only a body\n')
    assert read(path, {"text": "2,3", "label": "1"}) == [
        (1, {"text": "A title A body", "label": "3"}),
        (2, {"text": "Only a body", "label": "1"}),
    ]
    assert read(path, {"text": "2-3", "label": "1"}) == read(path, {"text": "2,3", "label": "1"})
    named = write("b.csv", 'title,body,"a,b"\nA,B,C\n')
    assert read(named, {"text": "body,title", "label": "a,b"}) == [(2, {"text": "B A", "label": "C"})]
    lines = write("c.jsonl", '{"title": "A", "body": "B", "label": 1}\n')
    assert read(lines, {"text": "title,body", "label": "label"}) == [(1, {"text": "A B", "label": "1"})]


def test_lists_keep_their_cells_apart(write):
    path = write("a.tsv", "x\tone\ttwo\tthree\nx\tone\n")
    rows = list(read_table(path, {"prompt": "1", "choices": "2-4"}, lists=["choices"]))
    assert [row.values["choices"] for row in rows] == [["one", "two", "three"], ["one", "", ""]]
    path = write("a.jsonl", '{"prompt": "x", "choices": ["one", 2]}\n')
    rows = list(read_table(path, {"prompt": "prompt", "choices": "choices"}, lists=["choices"]))
    assert rows[0].values["choices"] == ["one", "2"]


@pytest.mark.parametrize(
    "choices",
    [
        '{"text": ["east", "west"], "label": ["A", "B"]}',
        '[{"text": "east", "label": "A"}, {"text": "west", "label": "B"}]',
    ],
)
def test_choices_in_objects(write, choices):
    """The files of ARC and of CommonsenseQA have them."""
    path = write("a.jsonl", f'{{"question": {{"stem": "x", "choices": {choices}}}, "answerKey": "B"}}\n')
    columns = {"prompt": "question.stem", "choices": "question.choices", "label": "answerKey"}
    (row,) = read_table(path, columns, lists=["choices"])
    assert row.values == {"prompt": "x", "choices": ["east", "west"], "label": "B"}


@pytest.mark.parametrize("column", ["question.text", "question.stem.x", "stem", "question."])
def test_a_key_that_an_object_does_not_have(write, column):
    path = write("a.jsonl", '{"question": {"stem": "x"}}\n')
    with pytest.raises(DataError, match=rf"a\.jsonl:1: there is no key '{column}'; the object has 'question'"):
        list(read_table(path, {"prompt": column}))


def test_a_list_of_one_column_does_not_end_early(write):
    rows = read_table(write("a.csv", "x,one\nx\n"), {"prompt": "1", "choices": "2"}, lists=["choices"])
    assert next(rows).values["choices"] == "one"
    with pytest.raises(DataError, match=r"a\.csv:2: expected at least 2 columns\. Received 1$"):
        next(rows)


def test_a_name_that_stands_twice_in_the_header(write):
    path = write("a.csv", "text,text,label\na,b,c\n")
    with pytest.raises(DataError, match=r"a\.csv:1: expected one column 'text'\. The header has it at 1, 2; rename"):
        list(read_table(path, COLUMNS))
    assert [row.values for row in read_table(path, {"label": "label"})] == [{"label": "c"}]


def test_a_delimiter_makes_a_table_of_any_file(write):
    path = write("Sentences.txt", "Der Absatz stieg um 3 % .@positive\nÜber Helsinki@neutral\n".encode("latin-1"))
    form = TableFormat(delimiter="@", encoding="latin-1")
    assert [row.values for row in read_table(path, {"text": "1", "label": "2"}, form=form)] == [
        {"text": "Der Absatz stieg um 3 % .", "label": "positive"},
        {"text": "Über Helsinki", "label": "neutral"},
    ]


def test_semicolons_with_quotation_marks(write):
    path = write("a.csv", 'text;label\n"a; b";1\n')
    rows = read_table(path, COLUMNS, form=TableFormat(delimiter=";"))
    assert [row.values for row in rows] == [{"text": "a; b", "label": "1"}]


def test_quoting_can_be_told(write):
    content = 'text,label\n"open,1\n'
    rows = read_table(write("a.csv", content), COLUMNS, form=TableFormat(quoting="none"))
    assert [row.values for row in rows] == [{"text": '"open', "label": "1"}]
    content = 'text\tlabel\n"a\tb"\t1\n'
    rows = read_table(write("a.tsv", content), COLUMNS, form=TableFormat(quoting="csv"))
    assert [row.values for row in rows] == [{"text": "a\tb", "label": "1"}]


def test_a_text_with_the_delimiter_in_it_is_no_row_shifted(write):
    path = write("a.csv", "text,label\nwell, no,1\nfine,1,,\n")
    with pytest.raises(
        DataError,
        match=r"a\.csv:2: expected 2 columns, as in the header\. Received 3; a text with the delimiter in it must be "
        r"in quotation marks$",
    ):
        read(path)
    bad = BadRows(1)
    assert [row.line for row in read_table(path, COLUMNS, bad=bad)] == [3]
    assert bad.count == 1
    path = write("b.csv", "a,1\nb,c,1\n")
    with pytest.raises(DataError, match=r"b\.csv:2: expected 2 columns, as in the first row\. Received 3; "):
        read(path, {"text": "1", "label": "2"})


def test_a_header_in_one_piece_gets_advice(write):
    path = write("a.csv", "text;label\nfine; really;1\n")
    with pytest.raises(DataError, match=r"; if ';' stands between columns, name it as the delimiter$"):
        read(path)


def test_a_csv_where_the_decimal_mark_is_a_comma(write):
    path = write("a.csv", "text;label\nfine;1,5\n;\nbad;0,5\n;;;\n")
    assert read(path) == [(2, {"text": "fine", "label": "1,5"}), (4, {"text": "bad", "label": "0,5"})]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("0-2", r"^column numbers count from 1\. Received: 0-2$"),
        ("3-2", r"^a range of columns goes from a smaller number to a larger one\. Received: 3-2$"),
    ],
)
def test_ranges_that_cannot_be(write, column, message):
    with pytest.raises(UsageError, match=message):
        read(write("a.csv", "a,b,c\n"), {"text": column, "label": "1"})


def test_a_delimiter_of_several_characters_needs_no_quoting(write):
    path = write("a.txt", "good || x::1\n")
    form = TableFormat(delimiter="::")
    assert [row.values for row in read_table(path, {"text": "1", "label": "2"}, form=form)] == [
        {"text": "good || x", "label": "1"}
    ]
    with pytest.raises(UsageError, match=r"^beside quotation marks the delimiter must be one character\. "):
        list(read_table(write("a.csv", "a::b\n"), {"text": "1"}, form=form))


# === Columns by number in files whose rows have names ===


@pytest.fixture(params=["parquet", "jsonl", "memory"])
def named_rows(request, tmp_path):
    rows = [{"id": 1, "title": "T", "body": "x", "stars": 5}, {"id": 2, "title": "U", "body": "y", "stars": 1}]
    if request.param == "memory":
        return as_table(rows, "train")
    path = tmp_path / f"a.{request.param}"
    if request.param == "parquet":
        arrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
        pytest.importorskip("pyarrow.parquet", reason="needs pyarrow").write_table(arrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("columns", "first"),
    [
        ({"text": "3", "label": "4"}, {"text": "x", "label": "5"}),
        ({"text": "3", "label": "stars"}, {"text": "x", "label": "5"}),
        ({"text": "2-3", "label": "4"}, {"text": "T x", "label": "5"}),
        ({"text": "3,2", "label": "1"}, {"text": "x T", "label": "1"}),
    ],
)
def test_columns_by_number(named_rows, columns, first):
    rows = list(read_table(named_rows, columns))
    assert [rows[0].values, len(rows)] == [first, 2]


def test_numbers_keep_the_order_of_the_first_row(write):
    path = write("a.jsonl", '{"text": "x", "label": 1}\n{"label": 0, "text": "y"}\n')
    assert [row.values["text"] for row in read_table(path, {"text": "1"})] == ["x", "y"]


def test_a_name_that_is_a_number_comes_first(write):
    path = write("a.jsonl", '{"2": "name", "text": "number"}\n')
    assert [row.values["text"] for row in read_table(path, {"text": "2"})] == ["name"]


@pytest.mark.parametrize("column", ["5", "4-5", "3,9"])
def test_numbers_beyond_the_last_column(named_rows, column):
    message = f"expected columns from 1 to 4, which are 'id', 'title', 'body', 'stars'. Received: {column} for text"
    with pytest.raises(DataError, match=re.escape(message)):
        list(read_table(named_rows, {"text": column}))


def test_kept_columns_by_number(named_rows):
    kept = KeptColumns(named_rows, ["1", "title"], TableFormat())
    assert [kept.at(1), kept.at(1)] == [{"1": 1, "title": "T"}] * 2
    assert [kept.at(2), kept.at(3)] == [{"1": 2, "title": "U"}, {}]


def test_kept_columns_of_skipped_rows_are_passed_over(named_rows):
    assert KeptColumns(named_rows, ["title"], TableFormat()).at(2) == {"title": "U"}
    assert KeptColumns(named_rows, [], TableFormat()).at(2) == {}


def test_tasks_read_columns_by_number(named_rows):
    examples = ClassificationTask.read_examples(named_rows, {"text": "3", "label": "4"})
    assert [(example.text, example.target) for example in examples] == [("x", "5"), ("y", "1")]
    examples = RankingTask.read_examples(named_rows, {"query": "2", "candidate": "3", "label": "1"})
    assert [(example.query, example.gains) for example in examples] == [("T", (1.0,)), ("U", (2.0,))]


def test_nan_in_json_is_no_text(write):
    path = write("a.jsonl", '{"text": NaN, "label": "x"}\n{"text": "a", "label": "y"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:1: 'text' must be text or a number\. Received: nan"):
        read(path)
    bad = BadRows(1)
    assert [row.values for row in read_table(path, COLUMNS, bad=bad)] == [{"text": "a", "label": "y"}]


def test_labels_that_were_rejected_in_prodigy(write, caplog):
    """Prodigy asks whether a proposed label is right, and exports the answer beside the label."""
    rows = [("fine", "accept"), ("bad", "reject"), ("hm", "ignore")]
    lines = [{"text": text, "label": "GOOD", "_task_hash": 7, "answer": answer} for text, answer in rows]
    path = write("a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    assert [example.text for example in ClassificationTask.read_examples(path)] == ["fine"]
    assert "a.jsonl: 2 texts were left out, since their annotators rejected or skipped them" in caplog.text
    assert "a.jsonl:2)" in caplog.text
    unlabelled = ClassificationTask.read_examples(path, targets=False)
    assert [example.text for example in unlabelled] == ["fine", "bad", "hm"]
