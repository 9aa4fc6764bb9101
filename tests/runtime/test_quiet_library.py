"""As a library kbert prints nothing, and importing it changes nothing in the process."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kbert

PACKAGE = Path(kbert.__file__).parent
SPEAKS = (
    "cli/",
    "runtime/log_handler.py",
    "training/monitoring/progress.py",
    "inference/litert_benchmark/child_process.py",
)
"""The command line, its log handler, the display of a run, and a program whose output another process reads."""


def calls(tree, names):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
            yield node.lineno


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path):
    place = path.relative_to(PACKAGE).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not place.startswith(SPEAKS):
        assert list(calls(tree, {"print", "sys.stderr.write", "sys.stdout.write"})) == []
    if not place.startswith("runtime/"):
        changes = {
            "os.environ.setdefault",
            "os.putenv",
            "signal.signal",
            "logging.disable",
            "logging.basicConfig",
            "csv.field_size_limit",
        }
        assert list(calls(tree, changes)) == []
        targets = [target for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets]
        assert not [target for target in targets if ast.unparse(target).startswith("os.environ")]


@pytest.mark.long
def test_imports_change_nothing():
    """Other libraries are imported before: TensorFlow and Keras set environment variables of their own."""
    code = (
        "import os, logging, signal\n"
        "import tensorflow_text, keras, starlette, uvicorn, scipy, sklearn, h5py, rich\n"
        "off = lambda: logging.root.manager.disable\n"
        "def state():\n"
        "    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]\n"
        "    return dict(os.environ), handlers, logging.root.level, list(logging.root.handlers), off()\n"
        "before = state()\n"
        "import kbert, kbert.training, kbert.training.devices.precision, kbert.corpus.building.beam\n"
        "import kbert.sources.named_datasets, kbert.serving.server, kbert.cli.main\n"
        "for name in kbert.__all__: getattr(kbert, name)\n"
        "assert state() == before, (before, state())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.long
def test_calls_of_the_library_print_nothing(tmp_path, capsys, corpus_text, pretrained, classifier):
    before = dict(os.environ)
    kbert.train_vocabulary([corpus_text], size=80, minimum_frequency=1).save(tmp_path / "vocab.txt")
    kbert.build_corpus(
        [corpus_text], vocab=tmp_path / "vocab.txt", output=tmp_path / "corpus", sequence_length=16, workers=1
    )
    other = shutil.copytree(pretrained, tmp_path / "other")
    (other / "config.json").write_text(json.dumps(json.loads((other / "config.json").read_text()) | {"emb_size": 32}))
    kbert.Bundle.load(other)  # which logs the key that no BERT uses
    model = kbert.load(classifier)
    model.predict(["the cat"])
    table = tmp_path / "table.csv"
    table.write_text("sentence1,sentence2\nthe cat,a cat\na dog,the dog\n")
    kbert.load(pretrained, pooling="mean").evaluate(table)  # which logs the columns that it found
    kbert.convert(pretrained, tmp_path / "google", to="google")
    kbert.export_saved_model(classifier, output=tmp_path / "served")
    kbert.export_litert(classifier, output=tmp_path / "model.tflite")
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "a.txt").write_text("the cat\n\na dog\n")
    kbert.build_index(pretrained, input=documents, output=tmp_path / "index", pooling="mean")
    assert len(kbert.Index(tmp_path / "index").search(["a dog"], top=1)) == 1
    assert capsys.readouterr() == ("", "")
    assert {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"} == {
        name: value for name, value in before.items() if name != "PYTEST_CURRENT_TEST"
    }


@pytest.mark.long
def test_a_program_can_silence_tensorflow():
    code = "import sys, kbert; kbert.prepare_runtime(quiet=True); kbert.load; assert 'tensorflow' in sys.modules"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
