import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from kbert.errors import DataError, KbertError, UsageError
from kbert.prediction.loading import load
from kbert.sources.memory_table import as_table
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.readers.remembered import Reading
from kbert.tasks.regression import RegressionTask
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask
from kbert.training.finetune import finetune


class Frame:
    """As much of a data frame of pandas as is used."""

    def __init__(self, columns):
        self.columns = list(columns)
        self._rows = list(zip(*columns.values(), strict=True))

    def itertuples(self, index=True, name="Pandas"):
        assert not index
        assert name is None
        return iter(self._rows)


def pandas_frame(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def test_data_frames_are_read_as_csv_files_are():
    columns = {
        "text": ["a", None, math.nan, "d"],
        "label": [np.int64(1), np.float64(0.5), np.bool_(True), False],
        3: [["x", "y"], np.array([1, 2]), ("z",), {"a": np.float32(1)}],
    }
    table = as_table(Frame(columns), "train")
    assert str(table) == "the rows of train"
    assert [row for _, row in table.numbered_rows()] == [
        {"text": "a", "label": 1, "3": ["x", "y"]},
        {"text": "", "label": 0.5, "3": [1, 2]},
        {"text": "", "label": "True", "3": ["z"]},
        {"text": "d", "label": "False", "3": {"a": 1.0}},
    ]
    with pytest.raises(UsageError, match=r"^the rows of x: expected columns of different names\. Received 'a' twice$"):
        as_table(dataclasses.make_dataclass("F", ["columns", "itertuples"])(["a", "a"], None), "x")


def test_missing_cells_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "text": pandas.array(["a", None], dtype="string"),
            "when": [pandas.Timestamp("2020-01-02"), pandas.NaT],
            "kind": pandas.Categorical(["x", None]),
            "count": pandas.array([1, None], dtype="Int64"),
        }
    )
    assert as_table(frame, "x").rows == [
        {"text": "a", "when": "2020-01-02 00:00:00", "kind": "x", "count": 1},
        {"text": "", "when": "", "kind": "", "count": ""},
    ]


def test_missing_values_of_dictionaries_are_null():
    pandas = pytest.importorskip("pandas")
    rows = [{"text": math.nan, "label": pandas.NA, "when": pandas.NaT, "list": [1.0, np.float32("nan")]}]
    assert as_table(rows, "x").rows == [{"text": None, "label": None, "when": None, "list": [1.0, None]}]


def test_dictionaries_are_read_as_json_is():
    rows = [{"text": "a", "label": None, "ok": True}]
    assert as_table(rows, "x").rows == rows
    with pytest.raises(UsageError, match=r"all dictionaries\. Received: 'b'$"):
        as_table([*rows, "b"], "x")


@pytest.mark.parametrize("data", [None, "file.csv", Path("x"), b"x", {"text": ["a"]}, ["a"], [], 3, {"a"}, iter([{}])])
def test_what_is_no_table(data):
    assert as_table(data, "x") is None


# === In every task ===

TEXTS = ["the cat sat", "a dog ran"]
TASKS = {
    "classification": (ClassificationTask(["no", "yes"]), {"text": TEXTS, "label": ["yes", "no"]}),
    "pairs": (
        ClassificationTask(["no", "yes"], paired=True),
        {"text": TEXTS, "pair": ["mat", "fast"], "label": ["yes", "no"]},
    ),
    "multilabel": (MultilabelTask(["x", "y"]), {"text": TEXTS, "label": ["x|y", "x"]}),
    "regression": (RegressionTask(mean=1.0, deviation=1.0), {"text": TEXTS, "label": [0.5, 2]}),
    "multiple-choice": (
        MultipleChoiceTask(),
        {"prompt": TEXTS, "choices": [["on", "mat"], ["cat", "dog", "slow"]], "label": [1, 0]},
    ),
    "tagging": (TaggingTask(["O", "B-A", "I-A"]), {"text": TEXTS, "label": ["O B-A O", "O B-A I-A"]}),
    "question-answering": (
        QuestionAnsweringTask(),
        {
            "question": ["who sat", "who ran"],
            "context": TEXTS,
            "answers": [[{"text": "cat", "answer_start": 4}], [{"text": "dog", "answer_start": 2}]],
        },
    ),
    "embedding": (EmbeddingTask("pairs"), {"text": TEXTS, "pair": ["mat", "fast"]}),
    "ranking": (
        RankingTask(),
        {"query": ["cat", "cat"], "candidate": TEXTS, "label": [1, 0]},
    ),
    "summarization": (SummarizationTask(1), {"text": [["the cat .", "a dog ."]] * 2, "label": [[1, 0], [0, 1]]}),
}
COLUMNS = {"embedding": {"pair": "pair"}, "ranking": {"label": "label"}, "summarization": {"label": "label"}}
COLUMNS["pairs"] = {"pair": "pair"}


def records(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


# Each loads a model of its own: the default run has the readers that differ most.
ALWAYS = ("classification", "tagging", "ranking")


@pytest.mark.long
@pytest.mark.parametrize(
    "name", [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in TASKS]
)
def test_tables_in_memory_give_what_the_file_gives(tmp_path, make_task_model, name):
    task, columns = TASKS[name]
    model = load(make_task_model(tmp_path / "run", task))
    model.reading = Reading({column.role: column.default for column in task.info().columns if column.default})
    model.reading = model.reading.overruled(COLUMNS.get(name), None)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in records(columns)))
    expected = model.evaluate(path)
    answers = list(model.predict_file(path))
    assert len(answers) in (1, 2)
    for table in (Frame(columns), records(columns), pandas_frame(columns)):
        assert model.evaluate(table) == expected
        assert model.predict(table) == answers


@pytest.mark.long
@pytest.mark.parametrize("name", ["classification", pytest.param("tagging", marks=pytest.mark.slow)])
def test_fine_tuning_from_tables_in_memory(tmp_path, pretrained, name):
    task, columns = TASKS[name]
    rows = {column: values * 4 for column, values in columns.items()}
    options = {"epochs": 1, "batch_size": 4, "sequence_length": 16, "show_progress": False, "learning_rate": 1e-4}
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in records(rows)))
    expected = finetune(task.name, model=pretrained, train=path, validation=path, output=tmp_path / "file", **options)
    metrics = finetune(
        task.name,
        model=pretrained,
        train=Frame(rows),
        validation=records(rows),
        output=tmp_path / "memory",
        **options,
    )
    assert metrics == expected
    assert (tmp_path / "file" / "model.safetensors").read_bytes() == (
        tmp_path / "memory" / "model.safetensors"
    ).read_bytes()
    load(tmp_path / "memory").predict(Frame(rows))


# === What cannot be ===


@pytest.fixture(scope="module")
def model(classifier):
    return load(classifier)


@pytest.mark.long
def test_one_text_is_one_row(model, make_task_model, tmp_path):
    assert model.predict("the cat") == model.predict(["the cat"])
    pairs = load(make_task_model(tmp_path / "pairs", TASKS["pairs"][0]))
    assert pairs.predict("the cat", "a dog") == pairs.predict(["the cat"], ["a dog"])
    choices = load(make_task_model(tmp_path / "choices", MultipleChoiceTask()))
    assert choices.predict("the cat", ["sat", "ran"]) == choices.predict(["the cat"], [["sat", "ran"]])
    with pytest.raises(UsageError, match="expected a text for each pair"):
        pairs.predict("the cat", ["a dog", "a cat"])
    with pytest.raises(UsageError, match=r"answers for pairs of texts; give the second ones too"):
        pairs.predict("the cat")


@pytest.mark.parametrize(
    "given",
    [
        (5,),
        (b"text",),
        ({"text": ["a"]},),
        ({"a", "b"},),
        (Path("x.csv"),),
        ([1, 2],),
        ([None],),
        ([["a"]],),
        ([{"text": "a"}, "b"],),
        (),
        (["a"], ["b"]),
        ([float("nan")],),
        ([{"body": "a"}],),
        (object(),),
    ],
)
def test_what_cannot_be_predicted(model, given):
    with pytest.raises(KbertError) as raised:
        model.predict(*given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "data", [5, None, b"x", {"text": ["a"]}, ["a"], [1], [{"text": "a", "label": "good"}, 3], [{"text": "a"}], object()]
)
def test_what_cannot_be_evaluated(model, data):
    with pytest.raises(KbertError) as raised:
        model.evaluate(data)
    assert "\n" not in str(raised.value)


def test_messages_name_the_row(model):
    rows = [{"text": "a", "label": "good"}, {"text": "b", "label": "unheard"}]
    with pytest.raises(DataError, match=r"^the rows of the table:2: expected one of the labels seen in training"):
        model.evaluate(rows)
    assert model.evaluate(rows, skip_bad=1)["skipped"] == 1
    with pytest.raises(DataError, match=r"^the rows of the table:1: there is no key 'text'; the object has 'body'"):
        model.predict(Frame({"body": ["a"]}))


def test_training_data_that_cannot_be(tmp_path, pretrained):
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": None}]
    options = {"model": pretrained, "output": tmp_path / "run"}
    expected = "'label' must be text, a number, or a list of them. Received: None"
    with pytest.raises(DataError, match=f"^the rows of train:2: {re.escape(expected)}$"):
        finetune("classification", train=rows, validation=rows, **options)
    for wrong in (5, ["a"], {"text": []}, []):
        with pytest.raises(UsageError, match=r"^train must be a file, a data frame, or a list of rows"):
            finetune("classification", train=wrong, validation=rows, **options)
