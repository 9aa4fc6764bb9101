import subprocess
import sys

import pytest

from kbert.bundle import Bundle
from kbert.text.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory, vocabulary, small_config):
    """The folder of a pretraining model with fresh weights, of one narrow layer: training it takes no time."""
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel
    from kbert.models.tensor_names import pretraining_slots, read_tensors

    config = small_config.replace(hidden_size=16, intermediate_size=32, num_hidden_layers=1, initializer_range=0.1)
    tensors = read_tensors(pretraining_slots(PretrainingModel(BertEncoder(config))))
    folder = tmp_path_factory.mktemp("pretrained")
    Bundle(config, Tokenizer(vocabulary), tensors, "BertForPreTraining").save(folder, "# A card\n")
    return folder


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
