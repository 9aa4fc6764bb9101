"""The served models and their versions: new versions are loaded while the old ones answer."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from types import TracebackType
from typing import Any

from kbert.errors import ServingError
from kbert.serving.request_error import RequestError
from kbert.serving.served_models.model_config import ModelConfig
from kbert.serving.served_models.model_folders import file_stamps, version_folders
from kbert.serving.served_models.served_version import ServedVersion, not_found
from kbert.serving.served_models.tensorflow_errors import canonical_code, one_line

_LOGGER = logging.getLogger("kbert.serving")

Source = Callable[[], Sequence[ModelConfig]]
Load = Callable[[str, int, Path], ServedVersion]

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


@dataclasses.dataclass
class _Model:
    """The state of one model."""

    served: dict[int, ServedVersion] = dataclasses.field(default_factory=dict)
    statuses: dict[int, VersionStatus] = dataclasses.field(default_factory=dict)
    failed: dict[int, frozenset[tuple[str, int, int]]] = dataclasses.field(default_factory=dict)
    """The content of the folder of each version that could not be loaded, at that time."""
    wanted: list[int] = dataclasses.field(default_factory=list)
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    problem: str = ""
    """Why the folder of the model could not be read when it was last looked at."""


class ServedModels:
    """Models, each in the versions that its policy wants.

    Used as a context manager: it loads the models, and looks for new models and versions until the block ends. A new
    version answers requests when it is loaded; then the old version is unloaded after its last request.

    Args:
        source: Returns the models to serve; it is called for each look.
        load: Loads a version: a function of the model's name, the version and its folder.
        poll_seconds: The time between two looks at the folders, in seconds; 0 to look once.
        unavailable_labels: Whether a label may name a version that is not loaded.

    Raises:
        ServingError: When the block begins: there is no model, no model can be loaded, or a label names a version
            that is not loaded.
    """

    def __init__(
        self, source: Source, load: Load, *, poll_seconds: float = 1.0, unavailable_labels: bool = False
    ) -> None:
        self._source = source
        self._load = load
        self._poll_seconds = poll_seconds
        self._unavailable_labels = unavailable_labels
        self._models: dict[str, _Model] = {}
        self._lock = threading.Lock()  # held for moments only, never while loading
        self._scan_lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kbert-serving-poll", daemon=True)

    def __enter__(self) -> ServedModels:
        try:
            problems = self.scan()
        except OSError as problem:
            raise ServingError(f"expected folders that can be read. Received: {problem}") from None
        if not self._models:
            raise ServingError("expected at least one model. Received: none; add a version to a folder of the models")
        if not any(model.served for model in self._models.values()):
            name = min(self._models)
            found = self._models[name].statuses
            without = self._models[name].problem or "its folder holds no version"
            reason = found[max(found)].error_message if found else without
            version = f", version {max(found)}" if found else ""
            raise ServingError(f"expected at least one model that can be loaded. Received: {name}{version}: {reason}")
        if problems:
            raise ServingError(problems[0])
        if self._poll_seconds > 0:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            loaded = [served for model in self._models.values() for served in model.served.values()]
            for model in self._models.values():
                model.served.clear()
        for served in loaded:
            served.retire()

    @contextlib.contextmanager
    def use(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[ServedVersion]:
        """Yields a version that stays in memory during the block: the largest one, unless one is named.

        Args:
            name: The name of the model.
            version: The version that is wanted.
            label: The label of the version that is wanted.

        Raises:
            RequestError: No such version is served.
        """
        served = self._find(name, version, label)
        while not served.acquire():
            served = self._find(name, version, label)  # another version has taken over meanwhile
        try:
            yield served
        finally:
            served.release()

    def knows(self, name: str) -> bool:
        """Returns whether there is a model of this name."""
        with self._lock:
            return name in self._models

    def names(self) -> list[str]:
        """Returns the names of all models."""
        with self._lock:
            return sorted(self._models)

    def labels(self, name: str) -> Mapping[str, int]:
        """Returns the version of each label of a model."""
        with self._lock:
            return dict(self._models[name].labels) if name in self._models else {}

    def loaded(self) -> list[ServedVersion]:
        """Returns the versions of all models that answer requests."""
        with self._lock:
            return [served for model in self._models.values() for served in model.served.values()]

    def queue_lengths(self) -> dict[str, int]:
        """Returns the number of requests that wait for a batch, for each model."""
        lengths: dict[str, int] = {}
        for served in self.loaded():
            lengths[served.name] = lengths.get(served.name, 0) + served.queue_length()
        return lengths

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Returns the states of all versions of a model that were wanted at any time, the largest version first.

        Args:
            name: The name of the model.
            version: The version whose state is wanted; None for all.

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

    def is_ready(self) -> bool:
        """Returns whether every model has all versions that its policy wants."""
        with self._lock:
            models = list(self._models.values())
            return bool(models) and all(
                model.wanted and all(version in model.served for version in model.wanted) for model in models
            )

    def is_available(self) -> bool:
        """Returns whether every model has a version that answers requests, perhaps an older one than it wants."""
        with self._lock:
            return bool(self._models) and all(model.served for model in self._models.values())

    def scan(self) -> list[str]:
        """Looks at the folders once: loads what is wanted, and unloads what is no longer wanted.

        Returns:
            One line for each label that names no loaded version.

        Raises:
            OSError: The folders cannot be read; all models are served as before.
        """
        with self._scan_lock:
            return self._scan(self._source())

    def reconfigure(self, configs: Sequence[ModelConfig]) -> None:
        """Replaces the models to serve, and returns when they are loaded.

        Raises:
            RequestError: A model cannot be loaded, or a label names a version that is not loaded.
        """
        with self._scan_lock:
            self._source = lambda: configs
            problems = self._scan(configs)
            failures = [
                f"{{name: {config.name} version: {status.version}}} due to error: {status.error_message}"
                for config in configs
                for status in self._models[config.name].statuses.values()
                if status.version in self._models[config.name].wanted and status.state != "AVAILABLE"
            ]
        if failures:
            raise RequestError(
                "UNKNOWN", f"{len(failures)} servable(s) did not become available: {'; '.join(failures)}"
            )
        if problems:
            raise RequestError("FAILED_PRECONDITION", problems[0])

    def _find(self, name: str, version: int | None, label: str | None) -> ServedVersion:
        with self._lock:
            model = self._models.get(name)
            if label is not None:
                version = None if model is None else model.labels.get(label)
                if version is None:
                    raise RequestError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label:.60}")
            served = model.served if model else {}
            wanted = version if version is not None else max(served, default=None)
            if wanted is None or wanted not in served:
                raise not_found(name, version)
            return served[wanted]

    def _poll(self) -> None:
        healthy = True
        while not self._stop.wait(self._poll_seconds):
            try:
                self.scan()
                healthy = True
            except Exception as problem:
                # A folder on a network may come back; loaded models answer until then.
                if healthy:
                    _LOGGER.warning("the models cannot be read; they are served as before: %s", one_line(problem))
                healthy = False

    def _scan(self, configs: Sequence[ModelConfig]) -> list[str]:
        problems = []
        for config in configs:
            try:
                problems += self._update(config)
            except OSError as problem:
                # A folder on a network may come back; the other models are updated all the same.
                model, said = self._models[config.name], one_line(problem)
                if model.problem != said:
                    _LOGGER.warning("%s cannot be read; it is served as before: %s", config.name, said)
                model.problem = said
            else:
                self._models[config.name].problem = ""
        for name in self._models.keys() - {config.name for config in configs}:
            with self._lock:
                model = self._models.pop(name)
            for version in list(model.served):
                self._unload(model, version)
            _LOGGER.info("%s is no longer served", name)
            gc.collect()
        return problems

    def _update(self, config: ModelConfig) -> list[str]:
        with self._lock:
            model = self._models.setdefault(config.name, _Model())
        try:
            folders = version_folders(config.base_path)
        except (FileNotFoundError, NotADirectoryError):
            folders = {}
        wanted = config.policy.wanted(list(folders))
        with self._lock:
            model.wanted = wanted
            for version in model.statuses.keys() - folders.keys():
                if model.statuses[version].state == "END":
                    del model.statuses[version]
                    model.failed.pop(version, None)
        for version in wanted:
            self._ensure(model, config.name, version, folders[version])
        # Where the newest version is broken from the start, the one before it answers.
        if not model.served and not config.policy.specific:
            for version in sorted(folders.keys() - set(wanted), reverse=True):
                if self._ensure(model, config.name, version, folders[version]):
                    break
        unwanted: set[int] = set()
        if not wanted or any(version in model.served for version in wanted):
            unwanted = model.served.keys() - set(wanted)
        # Labels move to their new versions before the old ones are unloaded, which may take as long as a request.
        problems = self._set_labels(model, config, model.served.keys() - unwanted)
        for version in unwanted:
            self._unload(model, version)
        return problems

    def _ensure(self, model: _Model, name: str, version: int, folder: Path) -> bool:
        """Loads a version unless it is loaded; one that failed is tried again when its files change."""
        if version in model.served:
            return True
        files = file_stamps(folder)
        if model.failed.get(version) == files:
            return False
        self._report(model, VersionStatus(version, "LOADING"))
        try:
            served = self._load(name, version, folder)
        except Exception as problem:
            # A damaged file can raise any exception; the other models must be served all the same.
            model.failed[version] = files
            code, message = canonical_code(problem), one_line(problem)
            self._report(model, VersionStatus(version, "END", code, message))
            _LOGGER.warning("%s, version %d, cannot be loaded: %s", name, version, message)
            # The exception holds what was loaded of the graph.
            problem.__traceback__ = None
            gc.collect()
            return False
        model.failed.pop(version, None)
        with self._lock:
            model.served[version] = served
            model.statuses[version] = VersionStatus(version, "AVAILABLE")
        _LOGGER.info("serving %s, version %d", name, version)
        return True

    def _unload(self, model: _Model, version: int) -> None:
        self._report(model, VersionStatus(version, "UNLOADING"))
        with self._lock:
            served = model.served.pop(version)
        # Freeing memory competes for processors with the first requests to the version that takes over.
        self._stop.wait(_PAUSE_BEFORE_UNLOADING)
        served.retire()
        self._report(model, VersionStatus(version, "END"))
        _LOGGER.info("%s, version %d, is unloaded", served.name, version)
        # A graph has reference cycles: without this its weights may stay in memory for a long time.
        del served
        gc.collect()

    def _set_labels(self, model: _Model, config: ModelConfig, available: Set[int]) -> list[str]:
        problems = [
            f"Request to assign label to version {version} of model {config.name}, which is not currently available "
            "for inference"
            for version in config.labels.values()
            if version not in available and not self._unavailable_labels
        ]
        if not problems:
            with self._lock:
                model.labels = dict(config.labels)
        return problems

    def _report(self, model: _Model, status: VersionStatus) -> None:
        with self._lock:
            model.statuses[status.version] = status


def described(models: ServedModels) -> dict[str, Any]:
    """Returns what is served, as JSON: the names, versions, labels, signatures and manifests of all models."""
    from kbert.serving.tensor_protos import dtype_name

    def tensors(infos: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: {
                "dtype": dtype_name(info.dtype),
                "shape": None if info.tensor_shape.unknown_rank else [each.size for each in info.tensor_shape.dim],
            }
            for key, info in sorted(infos.items())
        }

    result = []
    for name in models.names():
        try:
            statuses = models.status(name)
            with models.use(name) as served:
                signatures = {
                    key: {"inputs": tensors(each.inputs), "outputs": tensors(each.outputs)}
                    for key, each in sorted(served.signatures.items())
                    if each.inputs
                }
                manifest = served.manifest
        except RequestError:
            continue  # the model was removed meanwhile, or none of its versions can be loaded
        labels = models.labels(name)
        versions = [
            {
                "version": str(status.version),
                "state": status.state,
                "labels": sorted(label for label, version in labels.items() if version == status.version),
            }
            for status in statuses
        ]
        result.append({"name": name, "versions": versions, "manifest": manifest, "signatures": signatures})
    return {"models": result}
