"""The examples for Keras in docs/python.md and in the docstrings of public classes and functions run unchanged."""

import doctest
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import kbert
from kbert.models.preset_model import PresetModel
from kbert.report.run import run_report
from kbert.retrieval.search import search
from kbert.serving.server import running_server

REPOSITORY = Path(__file__).parent.parent.parent
EXAMPLES = [
    kbert.AdamW,
    kbert.Lamb,
    kbert.Muon,
    kbert.SGD,
    kbert.WarmupSchedule,
    kbert.Preprocessor,
    PresetModel,
    kbert.ClassificationModel,
    kbert.TokenClassificationModel,
    kbert.QuestionAnsweringModel,
    kbert.RegressionModel,
    kbert.EmbeddingModel,
    kbert.RankingModel,
    kbert.MultipleChoiceModel,
    kbert.MaskedLanguageModel,
    kbert.load,
    kbert.convert,
    kbert.prepare_runtime,
    kbert.export_saved_model,
    kbert.export_litert,
    kbert.bench_litert,
    kbert.serve,
    running_server,
    kbert.build_index,
    kbert.Index,
    search,
    run_report,
    kbert.write_report,
    kbert.Predictor.evaluate,
    kbert.Predictor.explain,
    kbert.calibrate,
]


@pytest.fixture
def here(tmp_path, monkeypatch, pretrained, classifier, vocab_file):
    """A folder with what examples name: a pretrained model, a fine-tuned one, a vocabulary."""
    folder = tmp_path / "here"
    shutil.copytree(pretrained, folder / "pretrained")
    shutil.copytree(classifier, folder / "RUN")
    (folder / "RUN" / "run.json").write_text('{"command": "finetune classification", "steps": 0}')
    shutil.copy(vocab_file, folder / "vocab.txt")
    monkeypatch.chdir(folder)
    return folder


# Keras says so of every dataset that does not end in a shuffle.
@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.shuffle=True. was passed")
def test_the_example_of_the_page_about_python(here):
    section = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8").split("## With Keras\n")[1]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    assert "kbert.Preprocessor.from_preset(" in code
    assert "model.fit(" in code
    names = {}
    exec(compile(code, "python.md", "exec"), names)
    assert names["model"].count_params() == names["films"].count_params()
    assert (here / "epochs.csv").read_text().count("\n") == 4
    answer = kbert.load("films").predict(["a fine film"])[0]
    assert set(answer["probabilities"]) == {"bad", "good"}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_the_examples_of_public_classes(here, kind):
    names = {"kbert": kbert, "np": np, "tokenizer": kbert.Tokenizer("vocab.txt")}
    found = [test for test in doctest.DocTestFinder(recurse=True).find(kind, globs=names) if test.examples]
    assert found
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in found:
        runner.run(test)
    assert runner.failures == 0
