"""Fine-tuning trains the rows of the token table that occur in its data, and the result is that of training all."""

import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from kbert.training.finetune import finetune
from kbert.training.finetuning.plan import FinetuningPlan
from kbert.training.run_folder.checkpoints import read_arrays

TOKENS = "[PAD] [CLS] [SEP] the cat dog sat .".split()


@pytest.fixture
def run(tmp_path, quick):
    """A function that fine-tunes on texts of five words, with evaluations between checkpoints."""
    tables = {name: tmp_path / f"{name}.csv" for name in ("train", "validation")}
    rows = ["the cat sat .,yes", "the dog sat .,no", "cat .,yes", "dog .,no", "the cat,yes", "the dog,no"] * 8
    for path in tables.values():
        path.write_text("\n".join(["text,label", *rows]) + "\n")
    options = {"checkpoint_every": 4, "evaluate_every": 3, "log_every": 1, "weight_decay": 0.3, "epochs": 2}

    def start(name, **more):
        finetune("classification", output=tmp_path / name, **tables, **quick | options | more)
        return tmp_path / name

    return start


@pytest.mark.long
def test_the_weights_are_those_of_training_the_whole_table(run, vocabulary, monkeypatch):
    rows = run("rows")
    monkeypatch.setattr(FinetuningPlan, "used_tokens", None)
    whole = run("whole")
    received, expected = (load_file(folder / "model.safetensors") for folder in (rows, whole))
    for name, values in expected.items():
        np.testing.assert_allclose(received[name], values, rtol=0, atol=2e-6, err_msg=name)
    shapes = []
    for folder in (rows, whole):
        arrays = read_arrays(sorted((folder / "checkpoints").glob("step-*.safetensors"))[-1])[0]
        shapes.append({array.shape for name, array in arrays.items() if "mean" in name and "token_table" in name})
    width = received["bert.embeddings.word_embeddings.weight"].shape[1]
    assert shapes == [{(len(TOKENS), width)}, {(len(vocabulary), width)}]


@pytest.mark.long
def test_a_resumed_run_ends_with_the_same_bytes(run):
    """The first run is cut back to its checkpoint of step 4, which lies between evaluations."""
    whole = run("whole")
    cut = whole.parent / "cut"
    shutil.copytree(whole, cut)
    for path in sorted((cut / "checkpoints").glob("step-*.safetensors")):
        if path.name > "step-00000008.safetensors":
            path.unlink()
    (cut / "model.safetensors").unlink()
    run("cut", resume=True)
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
