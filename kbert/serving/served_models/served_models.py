"""The served models: a thread looks for new models and versions while the loaded ones answer."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType

from kbert.errors import ServingError
from kbert.serving.request_error import RequestError
from kbert.serving.served_models.model_config import ModelConfig
from kbert.serving.served_models.model_versions import Load, ModelVersions, VersionStatus, unknown_label
from kbert.serving.served_models.served_version import ServedVersion, not_found
from kbert.serving.served_models.tensorflow_errors import one_line

_LOGGER = logging.getLogger("kbert.serving")

Source = Callable[[], Sequence[ModelConfig]]
"""A function that returns the models to serve now."""


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
        self._models: dict[str, ModelVersions] = {}
        self._lock = threading.Lock()  # held for moments only
        self._scan_lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kbert-serving-poll", daemon=True)

    def __enter__(self) -> ServedModels:
        try:
            self._load_first()
        except BaseException:
            # The block does not begin, so that nobody else frees the memory of what is loaded.
            self._close()
            raise
        if self._poll_seconds > 0:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._close()

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
        model = self._model(name)
        return {} if model is None else model.labels()

    def loaded(self) -> list[ServedVersion]:
        """Returns the versions of all models that answer requests."""
        return [served for model in self._all() for served in model.served()]

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
        model = self._model(name)
        statuses = [] if model is None else model.statuses()
        found = [status for status in statuses if version in (None, status.version)]
        if not found:
            what = "any versions" if version is None else f"version {version}"
            raise RequestError("NOT_FOUND", f"Could not find {what} of model {name}")
        return found

    def is_ready(self) -> bool:
        """Returns whether every model has all versions that its policy wants."""
        models = self._all()
        return bool(models) and all(model.is_ready() for model in models)

    def is_available(self) -> bool:
        """Returns whether every model has a version that answers requests, perhaps an older one than it wants."""
        models = self._all()
        return bool(models) and all(model.served() for model in models)

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
            failures = [failure for config in configs for failure in self._models[config.name].failures()]
        if failures:
            raise RequestError(
                "UNKNOWN", f"{len(failures)} servable(s) did not become available: {'; '.join(failures)}"
            )
        if problems:
            raise RequestError("FAILED_PRECONDITION", problems[0])

    def _load_first(self) -> None:
        try:
            problems = self.scan()
        except OSError as problem:
            raise ServingError(f"expected folders that can be read. Received: {problem}") from None
        if not self._models:
            raise ServingError("expected at least one model. Received: none; add a version to a folder of the models")
        if not self.loaded():
            name = min(self._models)
            found = self._models[name].statuses()
            without = self._models[name].problem or "its folder holds no version"
            reason = found[0].error_message if found else without
            version = f", version {found[0].version}" if found else ""
            raise ServingError(f"expected at least one model that can be loaded. Received: {name}{version}: {reason}")
        if problems:
            raise ServingError(problems[0])

    def _close(self) -> None:
        for model in self._all():
            model.close()

    def _model(self, name: str) -> ModelVersions | None:
        with self._lock:
            return self._models.get(name)

    def _all(self) -> list[ModelVersions]:
        with self._lock:
            return list(self._models.values())

    def _find(self, name: str, version: int | None, label: str | None) -> ServedVersion:
        model = self._model(name)
        if model is None:
            raise not_found(name, version) if label is None else unknown_label(label)
        return model.find(version, label)

    def _poll(self) -> None:
        healthy = True
        said: list[str] = []
        while not self._stop.wait(self._poll_seconds):
            try:
                problems = self.scan()
                for problem in problems:
                    if problem not in said:
                        _LOGGER.warning("the labels of the model stay as they are: %s", problem)
                said = problems
                healthy = True
            except Exception as error:
                # A folder on a network may come back; loaded models answer until then.
                if healthy:
                    _LOGGER.warning("the models cannot be read; they are served as before: %s", one_line(error))
                healthy = False

    def _scan(self, configs: Sequence[ModelConfig]) -> list[str]:
        problems = []
        for config in configs:
            with self._lock:
                model = self._models.setdefault(config.name, ModelVersions(config.name, self._load, self._stop))
            try:
                problems += model.update(config, unavailable_labels=self._unavailable_labels)
            except OSError as problem:
                # A folder on a network may come back; the other models are updated all the same.
                said = one_line(problem)
                if model.problem != said:
                    _LOGGER.warning("%s cannot be read; it is served as before: %s", config.name, said)
                model.problem = said
            else:
                model.problem = ""
        for name in self._models.keys() - {config.name for config in configs}:
            with self._lock:
                model = self._models.pop(name)
            model.unload_all()
            _LOGGER.info("%s is no longer served", name)
            gc.collect()
        return problems
