"""Bottleneck adapters of kbert in AdapterHub's package adapters, and of the package in kbert, give the same logits.

The package needs an older version of Transformers than other tests. KBERT_ADAPTERS_PYTHON names a Python that has it.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import encoder_bindings
from kbert.pretrained.loading import load_model
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetune import finetune

pytestmark = pytest.mark.peers

PROBE = Path(__file__).with_name("adapter_hub_probe.py")
IDS = np.array([[2, 5, 7, 9, 3, 0], [2, 6, 8, 12, 13, 3]])
TABLES = {
    "classification": "text,label\nthe cat sat,yes\nthe dog ran,no\na cat,yes\nslow dog,no\n",
    "tagging": "the\tO\ncat\tB-X\nsat\tO\n\na\tO\ndog\tB-Y\nran\tO\n\n",
}
CLASSES = {"classification": "BertForSequenceClassification", "tagging": "BertForTokenClassification"}


@pytest.fixture(scope="module")
def adapters_python():
    """A Python that has the package: KBERT_ADAPTERS_PYTHON, else this one."""
    if "KBERT_ADAPTERS_PYTHON" in os.environ:
        return os.environ["KBERT_ADAPTERS_PYTHON"]
    pytest.importorskip("adapters")
    return sys.executable


@pytest.fixture(scope="module")
def base(tmp_path_factory, vocabulary, small_config, random_tensors):
    tensors = random_tensors(encoder_bindings(BertEncoder(small_config)))
    folder = tmp_path_factory.mktemp("base")
    Bundle(small_config, Tokenizer(vocabulary), tensors, "BertModel").save(folder, "# A card\n")
    return folder


def theirs(python, what, base, kind, labels, folder, tmp_path):
    """The logits that the package computes at tokens."""
    arrays = tmp_path / "arrays.npz"
    np.savez(arrays, ids=IDS)
    command = [python, PROBE, what, base, kind, labels, folder, arrays]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return at_tokens(np.load(arrays)["logits"])


def ours(folder):
    inputs = {"input_word_ids": IDS, "input_mask": (IDS > 0).astype(int), "input_type_ids": IDS * 0}
    outputs = load_model(folder)({name: value.astype(np.int32) for name, value in inputs.items()})
    return at_tokens(np.asarray(outputs["logits"]))


def at_tokens(logits):
    return logits if logits.ndim == 2 else logits[IDS > 0]


@pytest.mark.parametrize("task", TABLES)
def test_the_package_opens_an_adapter_of_kbert(adapters_python, base, tmp_path, task, within):
    train = tmp_path / ("train.csv" if task == "classification" else "train.tsv")
    train.write_text(TABLES[task])
    finetune(task, model=base, train=train, validation=train, output=tmp_path / "run", epochs=5, batch_size=4,
             learning_rate=1e-2, adapter="bottleneck:4", show_progress=False)  # fmt: skip
    run, adapter = tmp_path / "run", tmp_path / "run" / "adapter"
    labels = len(Bundle.load(run).labels)
    within("adapters, logits", ours(run), ours(adapter), bound=1e-6)
    received = theirs(adapters_python, "load", base, CLASSES[task], labels, adapter, tmp_path)
    within("adapters, logits", ours(run), received, bound=1e-5)


@pytest.mark.parametrize("task", TABLES)
def test_kbert_opens_an_adapter_of_the_package(adapters_python, base, tmp_path, task, within):
    folder = tmp_path / "adapter"
    expected = theirs(adapters_python, "train", base, CLASSES[task], 3, folder, tmp_path)
    within("adapters, logits", ours(folder), expected, bound=1e-5)
    assert Bundle.load(folder).labels == ["label 0", "label 1", "label 2"]
