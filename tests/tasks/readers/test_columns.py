import logging

import pytest

from kbert.sources.memory_table import as_table
from kbert.tasks.catalogue import task_info
from kbert.tasks.options import SummarizationOptions
from kbert.tasks.readers.columns import find_columns

TRIPLES = {"text": "anchor", "pair": "positive", "negative": "negative"}
RANKING = {"query": "query", "candidate": "candidate"}


def found(task, header, given=None, **settings):
    table = as_table([dict.fromkeys(header.split(","), "x")], "train")
    info = task_info(task)
    return find_columns(info, table, given or {}, info.choose_options(None), **settings)


@pytest.mark.parametrize(
    ("task", "header", "columns"),
    [
        ("ranking", "query,candidate,label", {**RANKING, "label": "label"}),
        ("ranking", "query,candidate", RANKING),
        ("classification", "text,label", {"text": "text", "label": "label"}),
        ("classification", "text,pair,label", {"text": "text", "pair": "pair", "label": "label"}),
        ("embedding", "text", {"text": "text"}),
        ("embedding", "text,pair,negative", {"text": "text", "pair": "pair", "negative": "negative"}),
        ("embedding", "text,pair,score", {"text": "text", "pair": "pair", "score": "score"}),
        ("embedding", "text,pair,label", {"text": "text", "pair": "pair", "score": "label"}),
        ("embedding", "text,pair,label,score", {"text": "text", "pair": "pair", "score": "score"}),
        ("embedding", "anchor,positive,negative", TRIPLES),
        ("summarization", "text,label", {"text": "text", "label": "label"}),
        ("summarization", "source,target", {"text": "source", "summary": "target"}),
        ("summarization", "article,highlights", {"text": "article", "summary": "highlights"}),
        ("summarization", "document,summary", {"text": "document", "summary": "summary"}),
        ("summarization", "text,summary", {"text": "text", "summary": "summary"}),
    ],
)
def test_columns_that_stand_in_the_header(task, header, columns):
    assert found(task, header) == columns


def test_a_key_that_only_later_objects_have_is_found():
    """Otherwise the wrong answers of all rows would be left out without a message."""
    rows = [{"text": "a", "pair": "b"}, {"text": "a", "pair": "b", "negative": "c"}]
    info = task_info("embedding")
    table = as_table(rows, "train")
    assert find_columns(info, table, {}, info.choose_options(None))["negative"] == "negative"


def test_columns_that_are_named():
    assert found("ranking", "q,c,label", {"query": "q", "candidate": "c"}) == {
        "query": "q",
        "candidate": "c",
        "label": "label",
    }
    assert found("ranking", "query,candidate,label", {"label": ""}) == RANKING
    assert found("embedding", "anchor,positive", {"text": "anchor"}) == {"text": "anchor"}
    # Of files without names.
    assert found("ranking", "1,2,label", {"query": "1", "candidate": "2"}) == {"query": "1", "candidate": "2"}


@pytest.mark.parametrize(
    ("task", "header", "columns"),
    [
        ("classification", "Text,Label", {"text": "Text", "label": "Label"}),
        ("classification", "TEXT, label ,PAIR", {"text": "TEXT", "pair": "PAIR", "label": " label "}),
        ("classification", "text,Text,label,Label", {"text": "text", "label": "label"}),
        ("classification", "Text,TEXT,label", {"text": "text", "label": "label"}),  # it is not clear which
        ("ranking", "Query,Candidate,Label", {"query": "Query", "candidate": "Candidate", "label": "Label"}),
        ("embedding", "Anchor,Positive,Negative", {"text": "Anchor", "pair": "Positive", "negative": "Negative"}),
        ("summarization", "Article,Highlights", {"text": "Article", "summary": "Highlights"}),
        ("summarization", "Text,Summary", {"text": "Text", "summary": "Summary"}),
        ("summarization", "content,abstract", {"text": "content", "summary": "abstract"}),
        ("summarization", "body,headline", {"text": "body", "summary": "headline"}),
    ],
)
def test_capitals_and_spaces_do_not_matter(task, header, columns):
    assert found(task, header) == columns


def test_named_columns_are_found_in_other_capitals():
    given = {"text": "title,body", "label": "STARS"}
    assert found("classification", "Title,Body,Stars", given) == {"text": "Title,Body", "label": "Stars"}
    assert found("classification", "Title,Stars", given) == {"text": "title,body", "label": "Stars"}


def test_answers_of_other_capitals(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Question,Context\nx,y\n", encoding="utf-8")
    info = task_info("question-answering")
    columns = find_columns(info, path, {}, info.choose_options(None), targets=False)
    assert columns == {"question": "Question", "context": "Context"}


def test_without_targets_columns_of_targets_are_not_looked_for():
    assert found("ranking", "query,candidate,label", targets=False) == RANKING
    assert found("embedding", "anchor,positive,negative", targets=False) == {"text": "anchor"}


def test_what_was_found_is_logged(caplog, tmp_path):
    caplog.set_level(logging.INFO, "kbert")
    path = tmp_path / "a.csv"
    path.write_text("article,highlights\nx,y\n", encoding="utf-8")
    find_columns(task_info("summarization"), path, {}, SummarizationOptions(), tell=True)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: read with --text-column article, --summary-column highlights"
    ]


def test_a_column_that_is_not_read_beside_named_ones_is_logged(logged, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("q,a,Score\nx,y,1\n")
    info = task_info("embedding")
    given = {"text": "q", "pair": "a"}
    for _ in range(2):
        assert find_columns(info, path, given, info.choose_options(None), tell=True) == given
    assert logged() == [f"{path}: the column Score is not read; --score-column Score reads it"]
    find_columns(info, path, {**given, "score": ""}, info.choose_options(None), tell=True)
    assert logged() == []
