"""The workers of a run on several machines, which are found with TF_CONFIG, Slurm or Kubernetes."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from kbert.errors import UsageError

_PORT = 8470
"""The port of the workers on Kubernetes, and the first port on Slurm, where each task of a machine has its own port."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The worker processes that train a model together.

    Args:
        resolver: A `tf.distribute.cluster_resolver.ClusterResolver`.
        workers: The number of workers.
        worker: The number of this worker, counted from 0; worker 0 is the chief.
    """

    resolver: Any
    workers: int
    worker: int


def detect_cluster(environment: Mapping[str, str] = os.environ) -> str | None:
    """Returns the system that started this process as one of several workers, or None if the process is on its own.

    Args:
        environment: The environment variables.

    Returns:
        "tf-config", "slurm", "kubernetes" or None.
    """
    if environment.get("TF_CONFIG"):
        return "tf-config" if _read_tf_config(environment)[1] > 1 else None
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return "slurm"
    if "KBERT_POD_LABELS" in environment:
        return "kubernetes"
    return None


def find_cluster(name: str | None = None) -> Cluster:
    """Finds the cluster in which this process is a worker.

    Args:
        name: The system that provides the workers: "tf-config" (the variable TF_CONFIG), "slurm" (the variables of
            `srun`) or "kubernetes" (the pods with the labels KBERT_POD_LABELS; KBERT_POD_INDEX is the number of this
            pod). By default, the first system whose variables are set.

    Raises:
        UsageError: There is no cluster, or its variables are invalid.
    """
    name = name or detect_cluster()
    finders: Mapping[str, Callable[[], Cluster]] = {
        "tf-config": _from_tf_config,
        "slurm": _from_slurm,
        "kubernetes": _from_kubernetes,
    }
    if name is None:
        raise UsageError(
            "multi-worker training needs the addresses of its workers: start it with `kbert launch`, with srun, or "
            "with TF_CONFIG set. Received: none of them"
        )
    return finders[name]()


def _read_tf_config(environment: Mapping[str, str]) -> tuple[int, int]:
    """Returns the number of this worker and the number of all workers.

    Raises:
        UsageError: TF_CONFIG is invalid.
    """
    text = environment.get("TF_CONFIG", "")
    try:
        settings = json.loads(text)
        jobs = {job: len(addresses) for job, addresses in settings["cluster"].items()}
        task = settings["task"]
        kind, index = task["type"], int(task["index"])
        if not set(jobs) <= {"chief", "worker"} or jobs.get("chief", 0) > 1 or not 0 <= index < jobs[kind]:
            raise ValueError("invalid job or task")
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise UsageError(
            'TF_CONFIG must be like {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
            f", with at most one chief beside the workers ({problem!r}). Received: {text[:300]}"
        ) from None
    return index + (jobs.get("chief", 0) if kind == "worker" else 0), sum(jobs.values())


def _from_tf_config() -> Cluster:
    import tensorflow as tf

    worker, workers = _read_tf_config(os.environ)
    return Cluster(tf.distribute.cluster_resolver.TFConfigClusterResolver(), workers, worker)


def _from_slurm() -> Cluster:
    import tensorflow as tf

    needed = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE")
    missing = [variable for variable in needed if variable not in os.environ]
    if missing:
        raise UsageError(
            f"a Slurm cluster needs the variables that srun sets; start it with srun. Missing: {missing[0]}"
        )
    try:
        # The resolver counts GPUs with nvidia-smi and fails if it finds none. Without nvidia-smi, each task therefore
        # gets a GPU that does not exist.
        settings = {} if _has_nvidia_smi() else {"gpus_per_node": 1024, "gpus_per_task": 1, "auto_set_gpu": False}
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(port_base=_PORT, **settings)
        workers = resolver.cluster_spec().num_tasks("worker")  # the call also sets resolver.task_id
    except (RuntimeError, ValueError) as problem:
        raise UsageError(f"the variables of Slurm are invalid: {problem}") from None
    return Cluster(resolver, workers, resolver.task_id)


def _has_nvidia_smi() -> bool:
    import shutil

    return shutil.which("nvidia-smi") is not None


def _from_kubernetes() -> Cluster:
    import tensorflow as tf

    labels, index = os.environ.get("KBERT_POD_LABELS"), os.environ.get("KBERT_POD_INDEX", "")
    if not labels or not index.isdecimal():
        raise UsageError(
            "a Kubernetes cluster needs KBERT_POD_LABELS, such as job-name=pretrain, and KBERT_POD_INDEX, the number "
            f"of this pod. Received: {labels!r} and {index!r}"
        )
    try:
        resolver = tf.distribute.cluster_resolver.KubernetesClusterResolver({"worker": [labels]}, tf_server_port=_PORT)
    except ImportError:
        raise UsageError("a Kubernetes cluster needs the client library: pip install 'kbert[kubernetes]'") from None
    except Exception as problem:
        if type(problem).__module__.split(".")[0] != "kubernetes":
            raise
        raise UsageError(f"Kubernetes does not list the pods of the run: {problem}") from None
    resolver.task_type, resolver.task_id = "worker", int(index)
    return Cluster(resolver, resolver.cluster_spec().num_tasks("worker"), int(index))
