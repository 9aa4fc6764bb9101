"""Training on one device, on two devices and in two processes gives the same results."""

import json
import os
import socket
import subprocess
import sys

import pytest

# Trains once for each of some options: argv is strategy, corpus, model, output, and the list of options.
TRAIN = """
import json, sys
import tensorflow as tf
strategy, corpus, model, output, runs = sys.argv[1:]
if strategy == "mirrored":
    cpus = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)
from kbert.training import run as module
from kbert.training.pretrain import pretrain
placement = module.make_strategy(strategy)
module.make_strategy = lambda *_: placement  # workers join once
for name, options in json.loads(runs).items():
    pretrain(
        corpus=corpus, model=model, output=f"{output}/{name}", strategy=strategy, show_progress=False, batch_size=16,
        learning_rate=1e-3, log_every=1, **options
    )
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(strategy, corpus, model, output, runs, tf_config=None):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if tf_config is not None:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    arguments = [strategy, *map(str, (corpus, model, output)), json.dumps(runs)]
    return subprocess.Popen([sys.executable, "-c", TRAIN, *arguments], env=environment, stderr=subprocess.PIPE)


def train_everywhere(folder, corpus, model, runs):
    """The folders of one device, two devices and two processes."""
    processes = [start(strategy, corpus, model, folder / strategy, runs) for strategy in ("one", "mirrored")]
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        processes.append(start("multi-worker", corpus, model, folder / "workers", runs, config))
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors.decode()
    return folder / "one", folder / "mirrored", folder / "workers"


@pytest.fixture
def largest_difference(rows):
    """Gives the largest difference between the metrics of two runs."""

    def largest_difference(folder, expected, name="loss"):
        pairs = zip(rows(folder), rows(expected), strict=True)
        return max(abs(row[name] - other[name]) for row, other in pairs)

    return largest_difference


@pytest.mark.long
def test_gradient_descent_on_one_device_two_devices_and_two_processes(largest_difference, tmp_path, corpus, pretrained):
    """SGD: Adam would hide a gradient that is scaled by a constant."""
    runs = {"run": {"steps": 8, "dropout": 0.0, "optimizer": "sgd"}}
    one, mirrored, workers = train_everywhere(tmp_path, corpus, pretrained, runs)
    for folder in (mirrored, workers):
        assert largest_difference(folder / "run", one / "run") <= 1e-5
        assert largest_difference(folder / "run", one / "run", "gradient_norm") <= 1e-4
    assert not list(workers.glob("run/**/*.part"))
    assert (workers / "run" / "model.safetensors").exists()


@pytest.mark.slow
def test_the_loss_curves_of_all_are_one(largest_difference, tmp_path, corpus, pretrained):
    """50 steps, SGD and AdamW, accumulation 1 and 4, without dropout; and with it, where the masks are the same."""
    runs = {
        f"{optimizer}-{accumulation}": {
            "steps": 50,
            "dropout": 0.0,
            "optimizer": optimizer,
            "accumulation": accumulation,
        }
        for optimizer in ("sgd", "adamw")
        for accumulation in (1, 4)
    }
    one, mirrored, workers = train_everywhere(tmp_path, corpus, pretrained, runs)
    for name in runs:
        for folder in (mirrored, workers):
            difference = largest_difference(folder / name, one / name)
            print(f"{name} {folder.name}: {difference:.2g}")
            assert difference <= 1e-5, (name, folder.name)
