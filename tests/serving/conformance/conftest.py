"""The servers of the conformance table."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server

# Tests are no package: the tables beside this file are modules of one that is made here.
_FOLDER = importlib.machinery.ModuleSpec("conformance", None, is_package=True)
_FOLDER.submodule_search_locations = [str(Path(__file__).parent)]
sys.modules["conformance"] = importlib.util.module_from_spec(_FOLDER)

from conformance.client import LABELS, call, config_of  # noqa: E402
from conformance.saved_models import save_models  # noqa: E402


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """The folder of all models."""
    folder = tmp_path_factory.mktemp("conformance") / "models"
    save_models(folder)
    return folder


@pytest.fixture(scope="session")
def start(tmp_path_factory) -> Callable[..., contextlib.AbstractContextManager[Any]]:
    """A function that runs a server of its own during a `with` block: start(config, **options)."""

    @contextlib.contextmanager
    def run(config: str, **options: Any) -> Iterator[Any]:
        config_file = tmp_path_factory.mktemp("config") / "models.config"
        config_file.write_text(config, encoding="utf-8")
        free_ports = {"rest_port": 0, "grpc_port": 0}
        with running_server(options=ServeOptions(model_config_file=config_file, **free_ports, **options)) as server:
            yield server

    return run


@pytest.fixture(scope="session")
def server(models, start) -> Iterator[Any]:
    """The server that most rows are sent to."""
    with start(config_of(models)) as server:
        yield server


@pytest.fixture(scope="session")
def labelled(server, models) -> Any:
    """The same server, whose model "versions" has got labels while it ran, as TensorFlow Serving wants it."""
    call(server, "HandleReloadConfigRequest", f"config {{ {config_of(models, LABELS)} }}")
    return server
