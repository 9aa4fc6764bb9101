import io

import pytest

from apps.sentiment_monitor.headline import Headline
from apps.sentiment_monitor.sources.rows import Position, format_of, read_rows

NOW = 2_000_000_000.0
BEGIN = Position()


def read(data, form, position=BEGIN, final=True, limit=100):
    stream = io.BytesIO(data)
    stream.seek(position.offset)
    return read_rows(stream, position, form, name="file", now=NOW, final=final, limit=limit)


def test_the_suffix_is_the_format():
    names = ("a.csv", "a.TSV", "a.jsonl", "a.ndjson", "a.txt", "a")
    assert [format_of(name) for name in names] == ["csv", "tsv", "jsonl", "jsonl", "lines", "lines"]


def test_csv_with_quotes_and_line_breaks():
    data = b'Headline,published,source\n"A ""b"",\nc",2026-05-01T08:00:00Z,Wire\nd,,\n'
    rows = read(data, "csv")
    assert rows.headlines == [Headline('A "b", c', 1_777_622_400, "Wire"), Headline("d", NOW)]
    assert rows.problems == []
    assert (rows.position.offset, rows.position.line, rows.ended) == (len(data), 4, True)


def test_json_lines_and_plain_lines():
    assert read('{"title": "Größe", "time": 1777622400}\n'.encode(), "jsonl").headlines == [
        Headline("Größe", 1_777_622_400)
    ]
    assert read(b"\xef\xbb\xbfone\r\n\r\n two  words \nlast", "lines").headlines == [
        Headline("one", NOW), Headline("two words", NOW), Headline("last", NOW)
    ]  # fmt: skip
    assert read(b'text\ttime\na " b\t\n', "tsv").headlines == [Headline('a " b', NOW)]


def test_times_of_the_future_are_now():
    assert read(b'{"text": "a", "time": "2099-01-01"}\n', "jsonl").headlines == [Headline("a", NOW)]


@pytest.mark.parametrize("form", ["csv", "lines"])
def test_a_last_line_without_line_break_waits(form):
    data = b"text\none\ntw"
    rows = read(data, form, final=False)
    assert [headline.text for headline in rows.headlines][-1] == "one"
    assert rows.position.offset == 9
    assert read(data, form, rows.position, final=True).headlines == [Headline("tw", NOW)]


def test_an_open_quote_waits_and_is_a_problem_in_the_end():
    data = b'text\n"one\ntwo'
    assert read(data, "csv", final=False).position.offset == 5
    rows = read(data, "csv")
    assert rows.headlines == [Headline("one", NOW), Headline("two", NOW)]
    many = b'text\n5" screen\n' + b"line\n" * 100
    assert [headline.text for headline in read(many, "csv", limit=200).headlines] == ['5" screen', *["line"] * 100]


def test_reading_goes_on_where_it_ended():
    data = b"text\na\nb\nc\n"
    first = read(data, "csv", limit=2)
    assert [headline.text for headline in first.headlines] == ["a"]
    assert not first.ended
    assert first.position == Position(7, 2, ("text",))
    assert [headline.text for headline in read(data, "csv", first.position).headlines] == ["b", "c"]


@pytest.mark.parametrize(
    ("form", "data", "message"),
    [
        ("csv", b"text,time\na,b,c\n", "file:2: expected 2 cells, as in the header. Received: 3"),
        ("csv", b"text,time\na,soon\n", "file:2: expected a time such as 2026-05-01T10:00:00Z. Received: 'soon'"),
        ("csv", b"words\na\n", "file:1: expected a column text or headline or title. Received: words"),
        ("jsonl", b"[1]\n", "file:1: expected a JSON object. Received: '[1]'"),
        ("jsonl", b"[" * 99_000 + b"\n", "file:1: expected a JSON object. Received: '" + "[" * 50 + "'"),
        ("jsonl", b'{"text": 5}\n', "file:1: expected a text. Received: '5'"),
        ("lines", b"\xff\n", "file:1: expected text in UTF-8. Received: other bytes"),
        ("lines", b"a" * 20_000 + b"\n", "file:1: expected a headline of at most 10,000 characters. Received: 20,000"),
    ],
)
def test_problems_name_file_and_line(form, data, message):
    rows = read(data, form)
    assert [f"{problem.place}: {problem.message}" for problem in rows.problems] == [message]
    assert rows.headlines == []


def test_a_bad_row_does_not_stop_the_others():
    rows = read(b'{"text": "a"}\nb\n{"text": "c"}\n', "jsonl")
    assert [headline.text for headline in rows.headlines] == ["a", "c"]
    assert [problem.place for problem in rows.problems] == ["file:2"]


def test_a_table_without_its_column_is_read_when_its_header_is_correct():
    assert read(b"words\na\n", "csv").position == BEGIN
