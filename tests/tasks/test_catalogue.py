import os
import subprocess
import sys
from pathlib import Path

import pytest

from kbert.errors import UsageError
from kbert.tasks.catalogue import TASKS, all_columns, all_reading_options, task_info
from kbert.tasks.factories import task_class
from kbert.tasks.task_info import Option


def test_it_needs_no_tensorflow():
    code = "import sys, kbert.tasks.catalogue; print({'tensorflow', 'numpy', 'keras'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


@pytest.mark.parametrize("name", list(TASKS))
def test_each_task_is_where_it_says(name):
    task = task_class(name)
    assert task.name == name
    assert task.info() is task_info(name)


def test_columns_and_options_are_split():
    info = task_info("classification")
    columns, options = info.split({"text_column": "a", "pair_column": None, "delimiter": ";"})
    assert columns == {"text": "a", "label": "label"}
    assert options == {
        "class_weights": None,
        "label_smoothing": 0.0,
        "missing_labels": "pandas",
        "format": "auto",
        "delimiter": ";",
        "encoding": "utf-8",
        "quoting": "auto",
    }
    assert info.choose_columns({"pair": "b"}, targets=False) == {"text": "text", "pair": "b"}
    with pytest.raises(UsageError, match=r"^the task classification has no column 'context'; it has 'text', 'pair', "):
        info.split({"context_column": "c"})
    with pytest.raises(UsageError, match=r"^the task classification has no option 'stride'; it has "):
        info.split({"stride": 3})
    columns, options = task_info("question-answering").split({"stride": 5})
    assert columns == {"question": "question", "context": "context", "answers": "answers"}
    assert {name: options[name] for name in ("stride", "max_answer_length", "n_best", "by_characters")} == {
        "stride": 5,
        "max_answer_length": None,
        "n_best": 5,
        "by_characters": "auto",
    }
    assert {"text", "pair", "label", "question", "context"} <= all_columns().keys()


def test_what_says_how_a_file_is_read_can_be_told_with_each_file():
    options = all_reading_options()
    assert {"delimiter", "encoding", "quoting", "label_separator", "label_columns"} <= options.keys()
    assert not {"class_weights", "label_smoothing", "crf"} & options.keys()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (Option("rate", "", 0.1), "x", "rate must be of the type float. Received: 'x'"),
        (Option("count", "", 3), True, "count must be of the type int. Received: True"),
        (Option("kind", "", "a", choices=("a", "b")), "c", "kind must be one of a, b. Received: 'c'"),
        (Option("size", "", kind=int), 1.5, "size must be of the type int. Received: 1.5"),
    ],
)
def test_options_that_cannot_be(option, value, message):
    with pytest.raises(UsageError) as caught:
        option.check(value)
    assert str(caught.value) == message
    assert option.check(None) == option.default


def test_a_whole_number_is_a_float_too():
    assert Option("rate", "", 0.1).check(1) == 1.0


def test_a_file_is_named_by_a_path_too():
    assert Option("documents", "", file=True).check(Path("a") / "b.txt") == os.path.join("a", "b.txt")
    with pytest.raises(UsageError, match="must be of the type str"):
        Option("delimiter", "").check(Path("a"))
