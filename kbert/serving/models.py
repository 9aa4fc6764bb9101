"""The models of a folder and their versions: new versions are loaded while the old ones answer."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import os
import re
import threading
from pathlib import Path
from types import TracebackType

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.serving.request_error import RequestError
from kbert.serving.saved_model import LoadedModel, canonical_code, one_line

_LOGGER = logging.getLogger("kbert.serving")
_VERSION = re.compile(r"[0-9]{1,18}")
_LAYOUT = "NAME/VERSION/saved_model.pb, which kbert export writes"


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """The state of a version, in the terms of TensorFlow Serving's GetModelStatus."""

    version: int
    state: str
    """ "LOADING", "AVAILABLE" (answers requests) or "END" (no longer served, or could not be loaded)."""
    error_code: str = "OK"
    error_message: str = ""


@dataclasses.dataclass
class _Model:
    """The state of one model; `failed` maps a version that could not be loaded to the content of its folder then."""

    served: LoadedModel | None = None
    statuses: dict[int, VersionStatus] = dataclasses.field(default_factory=dict)
    failed: dict[int, frozenset[tuple[str, int, int]]] = dataclasses.field(default_factory=dict)


class ServedModels:
    """The SavedModels of a folder, each in its largest version that loads.

    Used as a context manager: it loads the models, and looks for new models and versions until the block ends. A new
    version takes over when it is loaded; the old version stays in memory until its last call has returned.

    Args:
        folder: The folder that holds NAME/VERSION/saved_model.pb, or a folder NAME that holds versions.
        poll_seconds: The time between two looks at the folder, in seconds.

    Raises:
        ServingError: When the block begins: the folder is missing or holds no model, or no model can be loaded.
    """

    def __init__(self, folder: PathLike, *, poll_seconds: float = 1.0) -> None:
        # abspath(), so that `.` has a name; not resolve(), so that a link keeps its own name.
        self._folder = Path(os.path.abspath(folder))
        self._poll_seconds = poll_seconds
        self._is_one_model = False
        self._models: dict[str, _Model] = {}
        self._lock = threading.Lock()  # held for moments only, never while loading
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kbert-serving-poll", daemon=True)

    def __enter__(self) -> ServedModels:
        if not self._folder.is_dir():
            raise ServingError(
                f"expected a folder that holds {_LAYOUT}. Received: {self._folder}, which is not a folder"
            )
        try:
            self._is_one_model = any(_has_graph(path) for path in _version_folders(self._folder).values())
            found = self._find()
            self.scan()
        except OSError as problem:
            raise ServingError(f"expected a folder that can be read. Received: {self._folder} ({problem})") from None
        if not found:
            raise ServingError(
                f"expected a folder that holds {_LAYOUT}. Received: {self._folder}, which has no such file"
            )
        if not any(model.served for model in self._models.values()):
            name = min(self._models)
            status = self.status(name)[0]
            raise ServingError(
                f"expected at least one model that can be loaded in {self._folder}. Received: {name}, version "
                f"{status.version}: {status.error_message}"
            )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def get(self, name: str, version: int | None = None) -> LoadedModel:
        """The loaded model of a name.

        Args:
            name: The name of the model.
            version: The version that is wanted; None for the one that is served.

        Raises:
            RequestError: No model of this name is served, or it is served in another version.
        """
        with self._lock:
            model = self._models.get(name)
            served = model.served if model else None
        if served is None or version not in (None, served.version):
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise RequestError("NOT_FOUND", f"Servable not found for request: {asked}")
        return served

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """The versions of a model that were loaded, or whose loading failed; the largest first.

        Raises:
            RequestError: There is no such version.
        """
        with self._lock:
            model = self._models.get(name)
            statuses = list(model.statuses.values()) if model else []
        found = [status for status in statuses if version in (None, status.version)]
        if not found:
            what = "any versions" if version is None else f"version {version}"
            raise RequestError("NOT_FOUND", f"Could not find {what} of model {name}")
        return sorted(found, key=lambda status: status.version, reverse=True)

    def scan(self) -> None:
        """Looks at the folder once: loads new models and versions, and drops models whose folder was removed.

        Raises:
            OSError: The folder cannot be read; all models are served as before.
        """
        found = self._find()
        for name, versions in sorted(found.items()):
            self._update(name, versions)
        for name in self._models.keys() - found.keys():
            _LOGGER.info("%s was removed and is no longer served", name)
            with self._lock:
                del self._models[name]
            gc.collect()

    def _poll(self) -> None:
        healthy = True
        while not self._stop.wait(self._poll_seconds):
            try:
                self.scan()
                healthy = True
            except Exception as problem:
                # A folder on a network may come back; loaded models answer until then.
                if healthy:
                    _LOGGER.warning(
                        "%s cannot be read; all models are served as before: %s", self._folder, one_line(problem)
                    )
                healthy = False

    def _find(self) -> dict[str, dict[int, Path]]:
        """The models that the folder holds now, each with its version folders."""
        found: dict[str, dict[int, Path]] = {}
        if self._is_one_model:
            found[self._folder.name] = _version_folders(self._folder)
        else:
            with os.scandir(self._folder) as entries:
                # Unfinished exports have hidden names; unfinished copies of other tools often end in .part.
                folders = [
                    Path(entry.path)
                    for entry in entries
                    if entry.is_dir() and not entry.name.startswith(".") and not entry.name.endswith(".part")
                ]
            for folder in folders:
                # A folder without read permission (such as lost+found), or one that is just removed, is not a model.
                with contextlib.suppress(PermissionError, FileNotFoundError):
                    found[folder.name] = _version_folders(folder)
        return {name: versions for name, versions in found.items() if versions}

    def _update(self, name: str, versions: dict[int, Path]) -> None:
        """Serves the largest version that can be loaded; a version that failed is tried again when its files change."""
        with self._lock:
            model = self._models.setdefault(name, _Model())
            for version in model.statuses.keys() - versions.keys():
                if model.statuses[version].state == "END":
                    del model.statuses[version]
        for version in sorted(versions, reverse=True):
            if model.served is not None and model.served.version == version:
                return
            files = _file_stamps(versions[version])
            if model.failed.get(version) == files:
                continue
            self._report(model, VersionStatus(version, "LOADING"))
            try:
                loaded = LoadedModel(name, version, versions[version])
            except Exception as problem:
                # A damaged file can raise any exception; the other models must be served all the same.
                model.failed[version] = files
                code, message = canonical_code(problem), one_line(problem)
                self._report(model, VersionStatus(version, "END", code, message))
                _LOGGER.warning("%s, version %d, cannot be loaded: %s", name, version, message)
                continue
            model.failed.pop(version, None)
            self._serve(model, loaded)
            return

    def _serve(self, model: _Model, loaded: LoadedModel) -> None:
        with self._lock:
            old, model.served = model.served, loaded
            model.statuses[loaded.version] = VersionStatus(loaded.version, "AVAILABLE")
            if old is not None:
                model.statuses[old.version] = VersionStatus(old.version, "END")
        _LOGGER.info("serving %s, version %d", loaded.name, loaded.version)
        if old is not None:
            # A SavedModel has reference cycles: without this its weights may stay in memory for a long time.
            del old
            gc.collect()

    def _report(self, model: _Model, status: VersionStatus) -> None:
        with self._lock:
            model.statuses[status.version] = status


def _version_folders(folder: Path) -> dict[int, Path]:
    with os.scandir(folder) as entries:
        return {
            int(entry.name): Path(entry.path) for entry in entries if _VERSION.fullmatch(entry.name) and entry.is_dir()
        }


def _has_graph(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"))


def _file_stamps(folder: Path) -> frozenset[tuple[str, int, int]]:
    """The files below a folder with their sizes and times, which differ if the content differs."""
    return frozenset(
        (os.fspath(path), status.st_size, status.st_mtime_ns) for path in folder.rglob("*") for status in [path.stat()]
    )
