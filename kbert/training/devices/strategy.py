"""Where training runs: one device, several of one machine, or several machines, each with a copy of the model."""

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
class Placement:
    """A strategy, and which of its processes this one is.

    Args:
        strategy: A `tf.distribute.Strategy`.
        workers: Processes that train together.
        worker: The number of this one, from 0.
    """

    strategy: Any
    workers: int = 1
    worker: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes: the run's folder is its alone."""
        return self.worker == 0

    def sum(self, values: Sequence[int]) -> list[int]:
        """Sums over processes; all must call it together. For one process these are the values themselves.

        Raises:
            TrainingError: Another process is gone.
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
            # The identity puts the numbers on the replica's device.
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(numbers))

        def of_all(numbers: tf.Tensor) -> tf.Tensor:
            sums = self.strategy.run(of_replica, (numbers,))
            return self.strategy.experimental_local_results(sums)[0]

        return tf.function(of_all)


def lost_worker(problem: tf.errors.OpError) -> TrainingError:
    """The error for a collective operation that failed."""
    return TrainingError(
        f"another worker is gone, or was silent for ten seconds ({type(problem).__name__}); start all workers again "
        "with --resume"
    )


def make_strategy(name: str = "auto", cluster: str | None = None) -> Placement:
    """Makes a `tf.distribute.Strategy`. Before "multi-worker" and "tpu", TensorFlow must not have computed.

    Args:
        name: "one" device; "mirrored" over all GPUs of this machine (or, without one, all logical CPU devices);
            "multi-worker" over the machines of a cluster; "tpu". "auto" is multi-worker where TF_CONFIG names several
            workers, else mirrored where there are several GPUs, else one.
        cluster: Who knows the workers: "tf-config", "slurm" or "kubernetes"; by default the environment tells.

    Raises:
        UsageError: There is no strategy or cluster of that name, or what it needs is missing.
        TrainingError: The workers cannot be joined.
    """
    check_option(TrainingOptions, "strategy", name)
    check_option(TrainingOptions, "cluster", cluster)
    if name == "auto" and (cluster is not None or detect_cluster() == "tf-config"):
        name = "multi-worker"
    if name == "multi-worker":
        return _join(find_cluster(cluster))
    if cluster is not None:
        raise UsageError(f"--cluster is for --strategy multi-worker. Received: strategy={name!r}")
    if name == "tpu":
        return Placement(_tpu())
    gpus = tf.config.list_logical_devices("GPU")
    if name == "one" or (name == "auto" and len(gpus) < 2):
        return Placement(tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0"))
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UsageError(f"mirrored training needs two devices. Received: {devices[0].name} alone")
    return Placement(tf.distribute.MirroredStrategy([device.name for device in devices]))


def _join(cluster: Cluster) -> Placement:
    """Waits for all workers. TensorFlow's coordination service watches them from then on: a worker that dies or is
    silent for ten seconds makes the collective operations of all others fail.
    """  # noqa: D205 (one sentence)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=cluster.resolver)
    except (tf.errors.OpError, RuntimeError) as problem:
        message = str(problem).strip().splitlines()[0]
        raise TrainingError(f"the {cluster.workers} workers cannot be joined ({message})") from None
    return Placement(strategy, cluster.workers, cluster.worker)


def _tpu() -> Any:
    """A strategy over the TPU of this machine, or the one that the environment names."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, tf.errors.OpError) as problem:
        message = str(problem).strip().splitlines()[0]
        raise UsageError(f"no TPU can be used ({message}); choose another --strategy") from None
