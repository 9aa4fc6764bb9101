import json

import pytest

from kbert.errors import BundleError, DataError, UsageError
from kbert.prediction.loading import load
from kbert.tasks.catalogue import task_info
from kbert.tasks.factories import task_class
from kbert.tasks.readers.remembered import Reading


def test_what_is_remembered():
    info = task_info("embedding")
    columns, options = info.split({"pair_column": "b", "documents": "secret.jsonl", "queries": "q.tsv", "margin": 0.5})
    reading = Reading.remembered(info, columns, options)
    assert reading.settings() == {"columns": {"text": "text", "pair": "b"}, "options": {}}
    info = task_info("multilabel")
    columns, options = info.split(
        {"label_separator": ";", "encoding": "latin-1", "quoting": "auto", "class_weights": "a=2"}
    )
    settings = Reading.remembered(info, columns, options).settings()
    assert settings["options"] == {"label_separator": ";", "encoding": "latin-1"}
    assert Reading.from_settings(json.loads(json.dumps(settings)), info).settings() == settings


def test_what_is_said_of_one_file_goes_first():
    reading = Reading({"text": "a", "pair": "b"}, {"delimiter": ";", "encoding": "latin-1"})
    now = reading.overruled({"text": "c", "pair": ""}, {"encoding": "utf-8", "delimiter": None})
    assert now == Reading({"text": "c", "pair": ""}, {"delimiter": ";", "encoding": "utf-8"})
    assert reading.overruled(None, None) == reading
    assert task_info("classification").choose_columns(now.columns) == {"text": "c", "label": "label"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"reading must be an object of columns and options\. Received: \[\]"),
        ({"colums": {}}, r"reading must be an object of columns and options\. Received: \{'colums'"),
        ({"columns": {"text": 1}}, r"columns must be an object of names\. Received: \{'text': 1\}"),
        ({"columns": {"question": "q"}}, r"the task classification has no column 'question'"),
        ({"options": 3}, r"options must be an object\. Received: 3"),
        ({"options": {"label_smoothing": 0.5}}, r"'label_smoothing' is no option of classification that says how"),
        ({"options": {"quoting": "some"}}, r"quoting must be one of auto, csv, none\. Received: quoting='some'"),
        ({"options": {"encoding": "klingon"}}, r"encoding must be one that Python knows"),
        ({"options": {"delimiter": ["a"]}}, r"delimiter must be text\. Received: delimiter=\['a'\]"),
    ],
)
def test_what_cannot_be(values, message, tmp_path, make_classifier):
    with pytest.raises((TypeError, UsageError), match=message):
        Reading.from_settings(values, task_info("classification"))
    if values in ([], {"options": 3}):  # loading takes a while
        path = make_classifier(tmp_path) / "kbert.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"reading": values}))
        with pytest.raises(BundleError, match=f"the key reading of kbert.json is invalid \\({message}"):
            load(tmp_path)


@pytest.mark.parametrize(
    ("task", "name", "text", "columns"),
    [
        ("classification", "a.txt", "text;label\né;a\n", {}),
        ("multiple-choice", "a.csv", "prompt;a;b;label\né;x;y;1\n", {"choices": "a,b"}),
        ("embedding", "a.csv", "text;pair\né;x\n", {"pair": "pair"}),
        ("ranking", "a.csv", "query;candidate;label\né;x;1\né;y;0\n", {"label": "label"}),
        ("ranking", "a.jsonl", '{"query": "é", "candidates": ["x", "y"], "label": 0}\n', {}),
        ("summarization", "a.csv", "text;summary\né;x\n", {"summary": "summary"}),
        ("question-answering", "a.jsonl", '{"question": "é", "context": "c", "answers": []}\n', {}),
        (
            "question-answering",
            "a.json",
            '{"data": [{"paragraphs": [{"context": "c", "qas": [{"question": "é", "is_impossible": true}]}]}]}',
            {},
        ),
        ("tagging", "a.conll", "é B-X\n", {}),
        ("tagging", "a.tsv", "text\tlabel\né\tB-X\n", {}),
        ("tagging", "a.jsonl", '{"text": "é", "label": []}\n', {}),
    ],
)
def test_every_task_reads_files_as_it_is_told(tmp_path, task, name, text, columns):
    path = tmp_path / name
    path.write_bytes(text.encode("cp1252"))
    options = {"encoding": "cp1252"} | ({"delimiter": ";"} if ";" in text else {})
    (example,) = task_class(task).read_examples(path, columns, options=options)
    first = next(iter(vars(example).values()))
    assert first in ("é", ("é",))
    with pytest.raises(DataError, match=r"a\.\w+.*utf-8"):
        task_class(task).read_examples(path, columns, options=options | {"encoding": "utf-8"})
