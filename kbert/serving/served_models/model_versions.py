"""The versions of one model: new ones are loaded while the old ones answer."""

from __future__ import annotations

import dataclasses
import gc
import logging
import threading
from collections.abc import Callable, Mapping, Set
from pathlib import Path

from kbert.serving.request_error import RequestError
from kbert.serving.served_models.model_config import ModelConfig
from kbert.serving.served_models.model_folders import file_stamps, version_folders
from kbert.serving.served_models.served_version import ServedVersion, not_found
from kbert.serving.served_models.tensorflow_errors import canonical_code, one_line

_LOGGER = logging.getLogger("kbert.serving")

Load = Callable[[str, int, Path], ServedVersion]
"""A function that loads a version, given the name of the model, the version and its folder."""

_PAUSE_BEFORE_UNLOADING = 0.2
"""In seconds."""


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """The state of a version, in the terms of TensorFlow Serving's GetModelStatus."""

    version: int
    state: str
    """ "START", "LOADING", "AVAILABLE" (answers requests), "UNLOADING" or "END" (unloaded, or could not be loaded)."""
    error_code: str = "OK"
    error_message: str = ""


class ModelVersions:
    """The versions of one model that are in memory, and the states of all that were wanted at any time.

    `update`, `unload_all` and `close` are called by one thread at a time; the other methods by any thread.

    Args:
        name: The name of the model.
        load: Loads a version.
        stop: Is set when the server stops, which ends the pauses.
    """

    def __init__(self, name: str, load: Load, stop: threading.Event) -> None:
        self.name = name
        self.problem = ""
        """Why the folder of the model could not be read when it was last looked at."""
        self._load = load
        self._stop = stop
        self._lock = threading.Lock()  # held for moments only, never while loading
        self._served: dict[int, ServedVersion] = {}
        self._statuses: dict[int, VersionStatus] = {}
        self._failed: dict[int, frozenset[tuple[str, int, int]]] = {}
        """The content of the folder of each version that could not be loaded, at that time."""
        self._wanted: list[int] = []
        self._labels: Mapping[str, int] = {}

    def find(self, version: int | None, label: str | None) -> ServedVersion:
        """Returns a version that answers requests: the largest one, unless a version or a label is named.

        Raises:
            RequestError: No such version is served.
        """
        with self._lock:
            if label is not None:
                version = self._labels.get(label)
                if version is None:
                    raise unknown_label(label)
            wanted = version if version is not None else max(self._served, default=None)
            if wanted is None or wanted not in self._served:
                raise not_found(self.name, version)
            return self._served[wanted]

    def served(self) -> list[ServedVersion]:
        """Returns the versions that answer requests."""
        with self._lock:
            return list(self._served.values())

    def statuses(self) -> list[VersionStatus]:
        """Returns the states of all versions, the largest version first."""
        with self._lock:
            return sorted(self._statuses.values(), key=lambda status: status.version, reverse=True)

    def labels(self) -> dict[str, int]:
        """Returns the version of each label."""
        with self._lock:
            return dict(self._labels)

    def is_ready(self) -> bool:
        """Returns whether all versions that the policy wants answer requests, and there is one."""
        with self._lock:
            return bool(self._wanted) and all(version in self._served for version in self._wanted)

    def failures(self) -> list[str]:
        """Returns a line for each version that the policy wants and that does not answer, or for a missing folder."""
        with self._lock:
            if self.problem or not self._wanted:
                reason = self.problem or "its folder holds no version that is wanted"
                return [f"{{name: {self.name}}} due to error: {reason}"]
            return [
                f"{{name: {self.name} version: {status.version}}} due to error: {status.error_message}"
                for status in self._statuses.values()
                if status.version in self._wanted and status.state != "AVAILABLE"
            ]

    def update(self, config: ModelConfig, *, unavailable_labels: bool) -> list[str]:
        """Looks at the folder once: loads what is wanted, and unloads what is no longer wanted.

        Args:
            config: What is wanted.
            unavailable_labels: Whether a label may name a version that is not loaded.

        Returns:
            One line for each label that names no loaded version.

        Raises:
            OSError: The folder cannot be read; all versions are served as before.
        """
        try:
            folders = version_folders(config.base_path)
        except (FileNotFoundError, NotADirectoryError):
            folders = {}
        wanted = config.policy.wanted(list(folders))
        with self._lock:
            self._wanted = wanted
            for version in self._statuses.keys() - folders.keys():
                if self._statuses[version].state == "END":
                    del self._statuses[version]
                    self._failed.pop(version, None)
        for version in wanted:
            self._ensure(version, folders[version])
        # Where the newest version is broken from the start, the one before it answers.
        if not self._served and not config.policy.specific:
            for version in sorted(folders.keys() - set(wanted), reverse=True):
                if self._ensure(version, folders[version]):
                    break
        unwanted: set[int] = set()
        if not wanted or any(version in self._served for version in wanted):
            unwanted = self._served.keys() - set(wanted)
        # Labels move to their new versions before the old ones are unloaded, which may take as long as a request.
        problems = self._set_labels(config.labels, self._served.keys() - unwanted, unavailable_labels)
        for version in unwanted:
            self._unload(version)
        return problems

    def unload_all(self) -> None:
        """Unloads all versions, each after its last request."""
        for version in list(self._served):
            self._unload(version)

    def close(self) -> None:
        """Unloads all versions when the server ends."""
        with self._lock:
            served = list(self._served.values())
            self._served.clear()
        for each in served:
            each.retire()

    def _ensure(self, version: int, folder: Path) -> bool:
        """Loads a version unless it is loaded; one that failed is tried again when its files change."""
        if version in self._served:
            return True
        files = file_stamps(folder)
        if self._failed.get(version) == files:
            return False
        self._report(VersionStatus(version, "LOADING"))
        try:
            served = self._load(self.name, version, folder)
        except Exception as problem:
            # A damaged file can raise any exception; the other models must be served all the same.
            self._failed[version] = files
            code, message = canonical_code(problem), one_line(problem)
            self._report(VersionStatus(version, "END", code, message))
            _LOGGER.warning("%s, version %d, cannot be loaded: %s", self.name, version, message)
            # The exception holds what was loaded of the graph.
            problem.__traceback__ = None
            gc.collect()
            return False
        self._failed.pop(version, None)
        with self._lock:
            self._served[version] = served
            self._statuses[version] = VersionStatus(version, "AVAILABLE")
        _LOGGER.info("serving %s, version %d", self.name, version)
        return True

    def _unload(self, version: int) -> None:
        self._report(VersionStatus(version, "UNLOADING"))
        with self._lock:
            served = self._served.pop(version)
        # Freeing memory competes for processors with the first requests to the version that takes over.
        self._stop.wait(_PAUSE_BEFORE_UNLOADING)
        served.retire()
        self._report(VersionStatus(version, "END"))
        _LOGGER.info("%s, version %d, is unloaded", self.name, version)
        # A graph has reference cycles: without this its weights may stay in memory for a long time.
        del served
        gc.collect()

    def _set_labels(self, labels: Mapping[str, int], available: Set[int], unavailable_labels: bool) -> list[str]:
        problems = [
            f"Request to assign label to version {version} of model {self.name}, which is not currently available "
            "for inference"
            for version in labels.values()
            if version not in available and not unavailable_labels
        ]
        if not problems:
            with self._lock:
                self._labels = dict(labels)
        return problems

    def _report(self, status: VersionStatus) -> None:
        with self._lock:
            self._statuses[status.version] = status


def unknown_label(label: str) -> RequestError:
    """Returns the error for a label that no version of a model has."""
    return RequestError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label:.60}")
