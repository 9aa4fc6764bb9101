"""The commands and the option for adapters: what they print, and one line with exit code 2 for bad input."""

import json
import shutil

import pytest
import safetensors.numpy
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import encoder_bindings
from kbert.text.tokenizer import Tokenizer


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.output.strip().splitlines()


@pytest.fixture
def base(tmp_path, vocabulary, small_config, random_tensors):
    folder = tmp_path / "base"
    tensors = random_tensors(encoder_bindings(BertEncoder(small_config)))
    Bundle(small_config, Tokenizer(vocabulary), tensors, "BertModel").save(folder, "# A card\n")
    return folder


@pytest.mark.long
def test_an_adapter_is_trained_copied_and_merged(base, tmp_path):
    train = tmp_path / "train.csv"
    train.write_text("text,label\n" + "the cat,yes\nthe dog,no\n" * 8)
    out = run("finetune", "classification", "--model", base, "--train", train, "--validation", train, "--output",
              tmp_path / "run", "--epochs", 1, "--adapter", "lora:r=2")  # fmt: skip
    assert any("adapter lora: 1,634 of " in line and line.endswith("parameters are trained (7.93 %)") for line in out)
    run("adapters", "extract", tmp_path / "run", "--output", tmp_path / "copy")
    out = run("adapters", "merge", tmp_path / "copy", "--output", tmp_path / "merged")
    assert out[-1] == f"BertForSequenceClassification, 41 tensors: {tmp_path / 'merged'}"
    lines = {run("predict", folder, "the cat", "--json")[-1]
             for folder in (tmp_path / "copy", tmp_path / "merged")}  # fmt: skip
    assert len(lines) == 1

    # Another base model.
    other = shutil.copytree(base, tmp_path / "other")
    weights = safetensors.numpy.load_file(other / "model.safetensors")
    weights["encoder.layer.0.output.dense.bias"] += 1
    safetensors.numpy.save_file(weights, other / "model.safetensors")
    (line,) = run("adapters", "merge", tmp_path / "copy", "--base", other, "--output", tmp_path / "no", code=2)
    assert line.startswith(f"Error: the adapter {tmp_path / 'copy'} is for another base model: the weights of {other}")
    config = json.loads((tmp_path / "copy" / "adapter_config.json").read_text())
    (tmp_path / "copy" / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(other)}))
    (line,) = run("predict", tmp_path / "copy", "the cat", code=2)
    assert "is for another base model" in line


@pytest.mark.parametrize(
    ("adapter", "problem"),
    [
        ("lora:r=0", "must have a whole number of at least 1 as r"),
        ("lora:targets=nothing", "must have targets from query, key, value, attention_output, intermediate, output"),
        ("houlsby", "must begin with one of lora, bottleneck, bitfit"),
        ("prefix:20", "must begin with one of lora, bottleneck, bitfit, because kbert has no prefix tuning"),
    ],
)
def test_adapters_that_are_refused(base, tmp_path, adapter, problem):
    train = tmp_path / "train.csv"
    train.write_text("text,label\nthe cat,yes\nthe dog,no\n")
    (line,) = run("finetune", "classification", "--model", base, "--train", train, "--validation", train, "--output",
                  tmp_path / "run", "--adapter", adapter, code=2)  # fmt: skip
    assert line.startswith(f"Error: --adapter {problem}")
    assert line.endswith(f"Received: --adapter {adapter}")


def test_a_run_without_an_adapter(base, tmp_path):
    (line,) = run("adapters", "extract", base, "--output", tmp_path / "copy", code=2)
    assert line.startswith("Error: expected a run that was trained with an adapter")
