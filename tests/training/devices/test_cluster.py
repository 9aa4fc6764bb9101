import json

import pytest

from kbert.errors import UsageError
from kbert.training.devices.cluster import detect_cluster, find_cluster

VARIABLES = ("TF_CONFIG", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "KBERT_POD_LABELS", "KBERT_POD_INDEX")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def tf_config(index=0, kind="worker", **cluster):
    return json.dumps({"cluster": cluster or {"worker": ["a:1", "b:2"]}, "task": {"type": kind, "index": index}})


def test_what_the_environment_tells():
    assert detect_cluster({}) is None
    assert detect_cluster({"TF_CONFIG": tf_config()}) == "tf-config"
    assert detect_cluster({"TF_CONFIG": tf_config(worker=["a:1"])}) is None
    assert detect_cluster({"SLURM_STEP_NUM_TASKS": "4"}) == "slurm"
    assert detect_cluster({"SLURM_STEP_NUM_TASKS": "1"}) is None
    assert detect_cluster({"KBERT_POD_LABELS": "job-name=a"}) == "kubernetes"


@pytest.mark.parametrize(
    ("config", "number", "of"),
    [
        (tf_config(1), 1, 2),
        (tf_config(0, "chief", chief=["a:1"], worker=["b:2", "c:3"]), 0, 3),
        (tf_config(1, "worker", chief=["a:1"], worker=["b:2", "c:3"]), 2, 3),
    ],
)
def test_tf_config(monkeypatch, config, number, of):
    monkeypatch.setenv("TF_CONFIG", config)
    cluster = find_cluster()
    assert (cluster.worker, cluster.workers) == (number, of)
    assert cluster.resolver.task_type in ("chief", "worker")


@pytest.mark.parametrize(
    "config",
    ["{", "[]", "{}", tf_config(2), tf_config(-1), tf_config(0, "ps"), tf_config(0, "ps", worker=["a:1"], ps=["b:2"])],
)
def test_a_tf_config_that_cannot_be(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UsageError, match=r'^TF_CONFIG must be like \{"cluster": '):
        find_cluster("tf-config")


def test_slurm(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "2")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    with pytest.raises(UsageError, match=r"Missing: SLURM_STEP_NODELIST$"):
        find_cluster("slurm")
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[1-2]")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "2,1")
    cluster = find_cluster()
    assert (cluster.worker, cluster.workers) == (2, 3)
    assert cluster.resolver.cluster_spec().as_dict() == {"worker": ["node1:8470", "node1:8471", "node2:8470"]}
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "1,1")
    with pytest.raises(UsageError, match=r"^the variables of Slurm are invalid: Requested 3 tasks but only 2 were"):
        find_cluster()


def test_kubernetes_needs_the_number_of_the_pod(monkeypatch):
    monkeypatch.setenv("KBERT_POD_LABELS", "job-name=a")
    with pytest.raises(
        UsageError, match=r"needs KBERT_POD_LABELS, .* and KBERT_POD_INDEX.* Received: 'job-name=a' and"
    ):
        find_cluster()


def test_missing_addresses_of_workers_are_an_error():
    with pytest.raises(
        UsageError, match=r"^multi-worker training needs the addresses of its workers: .* Received: none of them$"
    ):
        find_cluster()
