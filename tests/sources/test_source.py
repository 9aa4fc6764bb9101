import os

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.detection import detect_format
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source, describe_formats


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "words\n", "text"),
        ("a", "", "text"),
        ("a.txt", "{curly} words", "text"),
        ("a.txt", '{"quoted"} words', "text"),
        ("a.txt", "<doctor> words", "text"),
        ("a.txt", '\n{"text": "a"}', "jsonl"),
        ("a", '{"text" : "a"}', "jsonl"),
        ("a", '\ufeff{"a \\" b": 1}', "jsonl"),
        ("a.jsonl", "words", "jsonl"),
        ("a.NDJSON", "", "jsonl"),
        ("a.json", "[", "jsonl"),
        ("a.csv", "id,text", "csv"),
        ("a.TSV", "id\ttext", "tsv"),
        ("wiki_00", '<doc id="1" title="a">\na\n</doc>', "wikiextractor"),
        (
            "a.jsonl",
            '{"id": "1", "revid": "2", "url": "https://x?curid=1", "title": "a", "text": "b"}',
            "wikiextractor",
        ),
        ("a.jsonl", '{"id": "1", "url": "https://x/1", "title": "a", "text": "b"}', "jsonl"),
        ("a.parquet", "", "parquet"),
        ("a.xlsx", "", "xlsx"),
        ("a.txt", '[\n {"text": "a"}]', "jsonl"),
        ("a.txt", "[[link]] and words", "text"),
    ],
)
def test_the_format_of_a_file_is_detected(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert detect_format(tmp_path / name) == expected


def test_formats_mix_and_keep_their_order(tmp_path):
    (tmp_path / "1.txt").write_text("a\n\nb\n")
    (tmp_path / "2.jsonl").write_text('{"text": "c"}\n')
    (tmp_path / "3").write_text('<doc id="1" title="t">\nd\n</doc>\n')
    source = Source([tmp_path])
    assert [found.lines for found in source.documents()] == [("a",), ("b",), ("c",), ("d",)]
    assert source.formats() == {"text": 1, "jsonl": 1, "wikiextractor": 1}
    assert source.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert describe_formats(source.formats()) == "1 file as text, 1 file as jsonl, 1 file as wikiextractor"
    assert list(source.lines()) == ["a", "b", "c", "d"]


def test_a_format_that_is_named_is_taken(tmp_path):
    (tmp_path / "a.txt").write_text('{"text": "a"}\n')
    assert [d.lines for d in Source([tmp_path], SourceSettings(format="text")).documents()] == [('{"text": "a"}',)]
    (tmp_path / "a.txt").write_text("words\n")
    with pytest.raises(DataError, match=r"a\.txt:1: expected a JSON object. Received 'words'"):
        list(Source([tmp_path], SourceSettings(format="jsonl")).documents())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"format": "xml"},
            "one of auto, text, jsonl, csv, tsv, wikiextractor, parquet, xlsx. Received: format=.xml",
        ),
        (
            {"document_separator": "page"},
            "document_separator must be one of blank-line, line. Received: document_separator='page'",
        ),
        ({"invalid_utf8": "replace"}, "invalid_utf8 must be one of fail, skip. Received: invalid_utf8='replace'"),
        ({"deduplicate": "near"}, "deduplicate must be one of none, document, line. Received: deduplicate='near'"),
        ({"text_field": ""}, "text_field must be the name of a field. Received: text_field="),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UsageError, match=message):
        SourceSettings(**settings)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"expected a file: .*pipe is a pipe or device"):
        Source([tmp_path / "pipe"])


def test_lines_are_documents_of_text_alone(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(UsageError, match=r'"line" is for text. .*a\.jsonl is read as jsonl'):
        Source([tmp_path], SourceSettings(document_separator="line"))


def test_lines_of_a_text_larger_than_a_document(tmp_path, monkeypatch):
    from kbert.sources import document

    monkeypatch.setattr(document, "LARGEST_DOCUMENT", 10)
    (tmp_path / "a.txt").write_text("abcdefgh\n" * 5)
    assert list(Source([tmp_path]).lines()) == ["abcdefgh"] * 5


def test_files_that_are_named_twice_are_told(tmp_path, caplog):
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(f"words of {name}\n")
    source = Source([tmp_path / "*.txt", tmp_path / ".." / tmp_path.name / "a.txt", tmp_path / "b.txt"])
    assert [record.getMessage() for record in caplog.records] == [
        f"{os.path.realpath(tmp_path / 'a.txt')} is named 2 times by the inputs, and its text is used as often (the "
        "same is true of 1 more); name each input once if this is not intended"
    ]
    assert len(list(source.documents())) == 5
    caplog.clear()
    Source([tmp_path])
    assert caplog.records == []
