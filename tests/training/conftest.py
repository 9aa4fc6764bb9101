import json
import logging
import subprocess
import sys

import pytest

from kbert.model_folder.bundle import Bundle
from kbert.text.tokenizer import Tokenizer
from kbert.training.monitoring.throughput import TIMINGS


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory, vocabulary, small_config):
    """The folder of a pretraining model with fresh weights, of one narrow layer: training it takes no time."""
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel
    from kbert.models.tensor_names import pretraining_bindings, read_tensors

    config = small_config.replace(hidden_size=16, intermediate_size=32, num_hidden_layers=1, initializer_range=0.1)
    tensors = read_tensors(pretraining_bindings(PretrainingModel(BertEncoder(config))))
    folder = tmp_path_factory.mktemp("pretrained")
    Bundle(config, Tokenizer(vocabulary), tensors, "BertForPreTraining").save(folder, "# A card\n")
    return folder


@pytest.fixture
def told(caplog):
    """Gives the messages that kbert has logged, those of level INFO too."""
    caplog.set_level(logging.INFO, "kbert")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "kbert"]


@pytest.fixture
def run_python():
    """Starts Python on a program; TensorFlow's own notes are kept down."""
    started = []

    def start(code, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def cats_and_dogs(tmp_path):
    """Tables for `finetune`: texts with a cat are "yes", those with a dog "no"."""
    texts = [
        f"the {first} {animal} {second} .,{label}\n"
        for first in ("fast", "slow", "on")
        for second in ("sat", "ran", "fast", "slow")
        for animal, label in (("cat", "yes"), ("dog", "no"))
    ]
    tables = {"train": tmp_path / "train.csv", "validation": tmp_path / "dev.csv"}
    for path in tables.values():
        path.write_text("text,label\n" + "".join(texts))
    return tables


@pytest.fixture
def quick(pretrained):
    """Settings of a fine-tuning that takes a few steps."""
    return {
        "model": pretrained,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "sequence_length": 16,
        "epochs": 1,
        "show_progress": False,
    }


@pytest.fixture(scope="session")
def rows():
    """Gives the rows of metrics of a run, without the times."""

    def rows(folder):
        read = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [{name: value for name, value in row.items() if name not in TIMINGS} for row in read]

    return rows
