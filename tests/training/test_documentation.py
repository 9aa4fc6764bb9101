"""The examples in the documentation of the training functions and their options."""

import doctest
import shutil

import pytest

import kbert


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["FinetuneOptions", "PretrainOptions", "finetune", "finetune_seeds", "cross_validate", "tune", "pretrain"]
)
def test_examples_run(tmp_path, corpus, pretrained, cats_and_dogs, monkeypatch, name):
    if name == "tune":
        pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pretrained, tmp_path / "pretrained")
    kind = getattr(kbert, name)
    found = list(doctest.DocTestFinder(recurse=False).find(kind, name, globs={"kbert": kbert}))
    assert sum(len(test.examples) for test in found) > 0
    for test in found:
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0
