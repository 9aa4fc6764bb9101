"""The distribution strategy of a run: one device, or several devices or machines with a copy of the model on each."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kbert.errors import TrainingError, UsageError
from kbert.options import check_option
from kbert.training.devices.cluster import Cluster, detect_cluster, find_cluster
from kbert.training.options import TrainingOptions


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A strategy, and the number of this process among its workers.

    Args:
        strategy: A `tf.distribute.Strategy`.
        workers: The number of worker processes that train together.
        worker: The number of this worker, counted from 0.
    """

    strategy: Any
    workers: int = 1
    worker: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief, which alone writes to the folder of the run."""
        return self.worker == 0

    def sum(self, values: Sequence[int]) -> list[int]:
        """Returns the sums of values over all workers, which must all call this method at the same time.

        Args:
            values: The values of this worker. With one worker, they are the result.

        Raises:
            TrainingError: Another worker is gone.
        """
        if self.workers == 1:
            return list(values)
        local = self.strategy.num_replicas_in_sync // self.workers
        try:
            total = self._sum(tf.constant(values, tf.int64)).numpy()
        except tf.errors.OpError as problem:
            raise lost_worker(problem) from None
        return [int(value) // local for value in total]

    @functools.cached_property
    def _sum(self) -> Any:
        def of_replica(numbers: tf.Tensor) -> tf.Tensor:
            # The identity copies the numbers to the replica's device.
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(numbers))

        def of_all(numbers: tf.Tensor) -> tf.Tensor:
            sums = self.strategy.run(of_replica, (numbers,))
            return self.strategy.experimental_local_results(sums)[0]

        return tf.function(of_all, autograph=False)


def lost_worker(problem: tf.errors.OpError) -> TrainingError:
    """Returns the error for a collective operation that failed."""
    return TrainingError(
        f"another worker is gone, or was silent for ten seconds ({type(problem).__name__}); start all workers again "
        "with --resume"
    )


def make_strategy(name: str = "auto", cluster: str | None = None) -> Distribution:
    """Creates a `tf.distribute.Strategy`; for "multi-worker" and "tpu", before TensorFlow has computed anything.

    Args:
        name: The name of the strategy: "one" for one device; "mirrored" for all GPUs of this machine or, if it has
            none, all logical CPU devices; "multi-worker" for the machines of a cluster; "tpu" for a TPU. "auto" is
            "multi-worker" if `cluster` is given or TF_CONFIG names several workers, otherwise "mirrored" if there are
            several GPUs, and otherwise "one".
        cluster: The system that provides the workers: "tf-config", "slurm" or "kubernetes". By default, the environment
            variables determine it.

    Raises:
        UsageError: There is no strategy or cluster of that name, or its devices or variables are missing.
        TrainingError: The workers do not find each other.
    """
    check_option(TrainingOptions, "strategy", name)
    check_option(TrainingOptions, "cluster", cluster)
    if name == "auto" and (cluster is not None or detect_cluster() == "tf-config"):
        name = "multi-worker"
    if name == "multi-worker":
        return _join(find_cluster(cluster))
    if cluster is not None:
        raise UsageError(f"--cluster requires --strategy multi-worker. Received: strategy={name!r}")
    if name == "tpu":
        return Distribution(_tpu())
    gpus = tf.config.list_logical_devices("GPU")
    if name == "one" or (name == "auto" and len(gpus) < 2):
        return Distribution(tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0"))
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UsageError(f"mirrored training needs at least two devices. Received: only {devices[0].name}")
    return Distribution(tf.distribute.MirroredStrategy([device.name for device in devices]))


def _join(cluster: Cluster) -> Distribution:
    """Waits for all workers, and returns the placement of this worker.

    TensorFlow's coordination service watches the workers from then on. If a worker dies or is silent for ten seconds,
    the collective operations of all others fail.
    """
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=cluster.resolver)
    except (tf.errors.OpError, RuntimeError) as problem:
        message = str(problem).strip().splitlines()[0]
        raise TrainingError(f"the {cluster.workers} workers cannot be joined ({message})") from None
    return Distribution(strategy, cluster.workers, cluster.worker)


def _tpu() -> Any:
    """Returns a strategy for the TPU of this machine, or for the TPU that the environment names."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, tf.errors.OpError) as problem:
        message = str(problem).strip().splitlines()[0]
        raise UsageError(f"no TPU can be used ({message}); choose another --strategy") from None
