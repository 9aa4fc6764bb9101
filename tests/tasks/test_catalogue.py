import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from kbert.errors import UsageError
from kbert.options import OptionError
from kbert.sources.table_format import TableFormat
from kbert.tasks.calibrated_task import CalibratedTask
from kbert.tasks.catalogue import TASKS, all_columns, all_reading_options, task_info
from kbert.tasks.factories import task_class
from kbert.tasks.options import ClassificationOptions, EmbeddingOptions
from kbert.tasks.text_task import TrainableTextTask
from kbert.training.options import task_option_infos


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
    assert dataclasses.asdict(options) == {
        "format": "auto",
        "delimiter": ";",
        "encoding": "utf-8",
        "quoting": "auto",
        "missing_labels": "pandas",
        "class_weights": None,
        "label_smoothing": 0.0,
    }
    assert list(info.option_infos)[:2] == ["class_weights", "label_smoothing"]
    assert info.choose_columns({"pair": "b"}, targets=False) == {"text": "text", "pair": "b"}
    with pytest.raises(UsageError, match=r"^the task classification has no column 'context'; it has 'text', 'pair', "):
        info.split({"context_column": "c"})
    with pytest.raises(UsageError, match=r"^the task classification has no option 'stride'; it has "):
        info.split({"stride": 3})
    for unknown, spelled in (({"context_column": "c"}, "--context-column"), ({"stride": 3}, "--stride")):
        with pytest.raises(OptionError) as problem:
            info.split(unknown)
        assert problem.value.command_line_message == f"{spelled} is not for classification; leave it out"
    with pytest.raises(UsageError, match=r"^label_column must name a column, since classification needs one\. Rec"):
        info.split({"label_column": ""})
    assert info.choose_columns({"label": "", "pair": ""}, targets=False) == {"text": "text"}
    columns, options = task_info("question-answering").split({"stride": 5})
    assert columns == {"question": "question", "context": "context", "answers": "answers"}
    assert (options.stride, options.max_answer_length, options.n_best, options.by_characters) == (5, None, 5, "auto")
    assert task_info("question-answering").choose_options(options) is options
    assert {"text", "pair", "label", "question", "context"} <= all_columns().keys()


def test_what_says_how_a_file_is_read_can_be_told_with_each_file():
    options = all_reading_options()
    assert {"delimiter", "encoding", "quoting", "label_separator", "label_columns"} <= options.keys()
    assert not {"class_weights", "label_smoothing", "crf"} & options.keys()


@pytest.mark.parametrize(
    ("task", "given", "message"),
    [
        ("embedding", {"margin": "x"}, "margin must be a number. Received: margin='x'"),
        ("embedding", {"margin": 0}, "margin must be above 0. Received: margin=0"),
        ("summarization", {"sentences": True}, "sentences must be a whole number. Received: sentences=True"),
        ("ranking", {"loss": "c"}, "loss must be one of softmax, sigmoid. Received: loss='c'"),
        ("ranking", {"candidates": 1}, "candidates must be at least 2. Received: candidates=1"),
        ("question-answering", {"stride": 1.5}, "stride must be a whole number. Received: stride=1.5"),
        ("ranking", {"delimiter": Path("a")}, "delimiter must be text. Received: "),
    ],
)
def test_invalid_options(task, given, message):
    with pytest.raises(UsageError) as caught:
        task_info(task).choose_options(given)
    assert str(caught.value).startswith(message)


def test_a_missing_value_stands_for_the_default():
    assert task_info("embedding").choose_options({"margin": None}) == EmbeddingOptions()
    assert EmbeddingOptions(margin=1).margin == 1.0
    assert EmbeddingOptions(documents=Path("a")).has_judgements
    assert not EmbeddingOptions().has_judgements


def test_options_give_the_format_of_tables():
    options = ClassificationOptions(delimiter="tab", encoding="latin-1", quoting="none", format="tsv")
    assert options.table_format == TableFormat("\t", "latin-1", "none", "tsv")


@pytest.mark.parametrize("name", [name for name, info in TASKS.items() if info.trainable])
def test_the_unsupported_options_are_those_that_the_task_refuses(name):
    task = task_class(name)
    expected = set()
    if not issubclass(task, CalibratedTask):
        expected |= {"calibrate"}
    if not (issubclass(task, CalibratedTask) and task.can_abstain):
        expected |= {"abstain_below", "target_risk"}
    if not issubclass(task, TrainableTextTask):  # the targets of the others depend on single words
        expected |= {"augment", "synonyms", "augment_copies"}
    if task.not_separable or task.not_private:
        expected |= {"private", "delta", "clip", "draw_size"}
    if task.not_for_phones:
        expected |= {"quantize_aware"}
    assert task.info().unsupported == expected


def test_commands_do_not_offer_unsupported_options():
    infos = task_option_infos(task_info("generation"))
    assert [name for name, info in infos.items() if name in ("private", "calibrate", "augment") and info.command] == []
    assert all(infos[name].command for name in ("seed", "epochs", "adapter"))
    infos = task_option_infos(task_info("classification"))
    assert all(infos[name].command for name in ("private", "calibrate", "target_risk", "augment"))
