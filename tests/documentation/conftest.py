"""The modules beside the tests of the documentation, as a package of their own: tests are no package."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_FOLDER = importlib.machinery.ModuleSpec("documentation", None, is_package=True)
_FOLDER.submodule_search_locations = [str(Path(__file__).parent)]
sys.modules["documentation"] = importlib.util.module_from_spec(_FOLDER)

if importlib.util.find_spec("apps") is None:
    # At the end, so that an installed kbert is tested where there is one.
    sys.path.append(str(REPOSITORY))


@pytest.fixture
def small_presets(monkeypatch):
    """Makes all presets small, whatever their names say."""
    from kbert.config import PRESETS, Preset

    for name, preset in list(PRESETS.items()):
        monkeypatch.setitem(PRESETS, name, Preset(2, 64, preset.vocab_size, preset.lowercase))


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A function that makes what a reader of a page has, and returns the session in which the page is run."""
    from documentation.given import DOWNLOADS, GIVEN, HUB, NAMES
    from documentation.session import Session

    here = tmp_path / "here"
    here.mkdir()
    (here / "apps").symlink_to(REPOSITORY / "apps")
    monkeypatch.chdir(here)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))

    def make(page):
        for name, write in GIVEN.get(page, {}).items():
            if name.startswith(HUB):
                write(cached(tmp_path / "cache", name.removeprefix(HUB), monkeypatch))
            else:
                write(here / name)
        for function, instead in DOWNLOADS.get(page, {}).items():
            monkeypatch.setattr(function, instead)
        return Session(**NAMES.get(page, {}))

    return make


def cached(home, name, monkeypatch):
    """Returns the folder for a model in the cache of the Hugging Face Hub, where it is found without a network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit = "0" * 40
    folder = home / "hub" / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots").mkdir()
    return folder / "snapshots" / commit
