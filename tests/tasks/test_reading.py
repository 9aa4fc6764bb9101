import json

import pytest

from kbert.errors import BundleError, UsageError
from kbert.predictor import load
from kbert.tasks.catalogue import task_info
from kbert.tasks.reading import Reading


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
        ({"options": {"quoting": "some"}}, r"quoting must be one of auto, csv, none\. Received: 'some'"),
        ({"options": {"encoding": "klingon"}}, r"encoding must be one that Python knows"),
        ({"options": {"delimiter": ["a"]}}, r"delimiter must be of the type str\. Received: \['a'\]"),
    ],
)
def test_what_cannot_be(values, message, tmp_path, make_classifier):
    with pytest.raises((TypeError, UsageError), match=message):
        Reading.from_settings(values, task_info("classification"))
    if values in ([], {"options": 3}):  # loading takes a while
        path = make_classifier(tmp_path) / "kbert.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"reading": values}))
        with pytest.raises(BundleError, match=f"how kbert.json says to read files cannot be used \\({message}"):
            load(tmp_path)
