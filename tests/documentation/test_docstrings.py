"""The examples in the docstrings of all public names run. The site shows them in its reference of the Python API."""

import doctest
import shutil

import numpy as np
import pytest

import kbert
from kbert.models.preset_model import PresetModel
from kbert.serving.server import running_server

OTHERS = (PresetModel, running_server)
"""Names that are not public, whose examples need the same files."""


def examples():
    """Yields every docstring with examples of the public names and their methods."""
    finder = doctest.DocTestFinder()
    public = [(name, getattr(kbert, name)) for name in kbert.__all__ if not name.startswith("__")]
    for name, kind in [*public, *((each.__name__, each) for each in OTHERS)]:
        for test in finder.find(kind, name, globs={}):
            if test.examples:
                yield test


def needs_files(test):
    """Returns whether an example reads files. Objects with options only check their values."""
    return not test.name.endswith(("Options", "Settings"))


def marked(test):
    return pytest.param(test, marks=pytest.mark.long if needs_files(test) else (), id=test.name)


@pytest.fixture
def here(tmp_path, monkeypatch, pretrained, classifier, vocab_file, corpus, corpus_text):
    """A folder with what examples name: models, a corpus, text, a vocabulary, and tables of texts with labels."""
    folder = tmp_path / "here"
    shutil.copytree(pretrained, folder / "pretrained")
    shutil.copytree(classifier, folder / "RUN")
    (folder / "RUN" / "run.json").write_text('{"command": "finetune classification", "steps": 0}')
    shutil.copytree(corpus, folder / "corpus")
    shutil.copy(vocab_file, folder / "vocab.txt")
    shutil.copy(corpus_text, folder / "text.txt")
    (folder / "letters.txt").write_text("Write to ana@example.org, or call +49 30 901820.\n")
    texts = [
        f"the {first} {animal} {second}"
        for first in ("fast", "slow")
        for animal in ("cat", "dog")
        for second in ("sat", "ran")
    ]
    rows = "".join(f"{text},{'bad' if 'dog' in text else 'fine'}\n" for text in texts * 3)
    for name in ("train.csv", "dev.csv"):
        (folder / name).write_text(f"text,label\n{rows}")
    monkeypatch.chdir(folder)
    return folder


def make_run(folder, **options):
    """Makes the run of a fine-tuning, for examples that need its files."""
    shutil.rmtree(folder, ignore_errors=True)
    kbert.finetune(
        "classification",
        model="pretrained",
        train="train.csv",
        validation="dev.csv",
        epochs=1,
        output=folder,
        **options,
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("test", [marked(test) for test in examples()])
def test_an_example_runs(test, request):
    test.globs |= {"kbert": kbert, "np": np}
    if needs_files(test):
        here = request.getfixturevalue("here")
        test.globs["tokenizer"] = kbert.Tokenizer("vocab.txt")
    if test.name in ("merge_adapter", "extract_adapter"):
        make_run("RUN", adapter="lora")
    if test.name == "Index.search":
        (here / "documents").mkdir()
        (here / "documents" / "cat.txt").write_text("the cat")
        (here / "documents" / "dog.txt").write_text("a dog ran")
        kbert.build_index("pretrained", input="documents", output="index", pooling="mean")
    if test.name == "verify":
        make_run("run")
    if test.name == "tune":
        pytest.importorskip("optuna")
    if "keras_hub" in test.docstring:
        test.globs["keras_hub"] = pytest.importorskip("keras_hub")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test)
    assert runner.failures == 0


def test_examples_are_found():
    names = [test.name for test in examples()]
    assert len(names) == len(set(names))
    assert {"finetune", "Index.search", "AdamW", "Preprocessor.from_preset", "ServeOptions"} <= set(names)
