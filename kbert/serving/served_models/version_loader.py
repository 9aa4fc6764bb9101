"""Loads versions of models, and counts their loads and batches in the metrics of the server."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
from pathlib import Path

from kbert.serving.batching.parameters import BatchingParameters
from kbert.serving.batching.scheduler import BatchObserver, BatchScheduler
from kbert.serving.monitoring.metrics import Metrics
from kbert.serving.served_models.loading import load_model
from kbert.serving.served_models.manifest import read_manifest
from kbert.serving.served_models.served_version import ServedVersion


@dataclasses.dataclass(frozen=True, kw_only=True)
class VersionLoader:
    """A function that loads a version of a model.

    Args:
        engine: The library that computes the models; see `load_model`.
        timeout: The time limit of a request in seconds.
        trusted: Whether the models may have any operations.
        parameters: The parameters of batching; None if requests are not gathered into batches.
        batch_all: Whether requests for models of any kind are gathered into batches.
        metrics: The metrics of the server.
        executor: The threads that run requests which are not gathered into batches.
        scheduler: The threads that compute batches.
    """

    engine: str
    timeout: float
    trusted: bool
    parameters: BatchingParameters | None
    batch_all: bool
    metrics: Metrics
    executor: concurrent.futures.Executor
    scheduler: BatchScheduler

    def __call__(self, name: str, version: int, folder: Path) -> ServedVersion:
        """Loads a version.

        Args:
            name: The name of the model.
            version: The version.
            folder: The folder of the version.

        Raises:
            ServingError: The model cannot be loaded.
        """
        metrics, path = self.metrics, str(folder)
        start = time.monotonic()
        status = "fail"
        try:
            model, warmed = load_model(folder, engine=self.engine, timeout=self.timeout, trusted=self.trusted)
            status = "success"
        finally:
            microseconds = (time.monotonic() - start) * 1e6
            metrics.load_attempts.add(model_path=path, status=status)
            metrics.load_latency.add(round(microseconds), model_path=path)
        metrics.warmup_latency.record(warmed.seconds * 1e6, model_path=path, status="OK")
        metrics.warmup_records.add(warmed.records, model_path=path, status="OK")
        return ServedVersion(
            name,
            version,
            model,
            manifest=read_manifest(folder),
            executor=self.executor,
            scheduler=self.scheduler,
            parameters=self.parameters,
            batch_all=self.batch_all,
            observer=self._observer(name),
        )

    def _observer(self, name: str) -> BatchObserver:
        def batch(rows: int) -> None:
            self.metrics.batch_run_count.add()
            self.metrics.batch_size.record(rows, model_name=name)

        def waited(seconds: float) -> None:
            self.metrics.queuing_latency.record(seconds * 1e6, thread_pool_name="batch_threads")

        return BatchObserver(batch, waited)
