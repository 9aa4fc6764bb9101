"""Versions that come and go, and broken ones, while clients ask."""

import os
import shutil
import time

import httpx
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SWAPS = int(os.environ.get("KBERT_SWAPS", "100"))
BROKEN = int(os.environ.get("KBERT_BROKEN", "100"))
REQUESTS = int(os.environ.get("KBERT_SWAP_REQUESTS", "10000"))
MOST_GROWTH = 1.05


class Reader(tf.Module):
    """Reads a file."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"number": tf.strings.length(tf.io.read_file("/etc/hostname")) + tf.strings.length(text)}


class Runner(tf.Module):
    """Runs Python code."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"number": tf.numpy_function(lambda texts: [len(text) for text in texts], [text], tf.int64)}


def states(server):
    answer = httpx.get(f"{server.url}/v1/models/m", timeout=60).json()
    return {int(each["version"]): each["state"] for each in answer["model_version_status"]}


@pytest.mark.chaos
def test_versions_are_swapped_without_a_failure_and_without_a_mixed_answer(
    tmp_path, version, start, clients, wait_until
):
    version(1, tmp_path / "m" / "1")
    server = start(tmp_path)
    swap_seconds, memory = [], []
    with clients(server) as load:
        for number in range(2, SWAPS + 2):
            begin = time.monotonic()
            version(number, tmp_path / "m" / str(number))
            wait_until(lambda number=number: states(server).get(number) == "AVAILABLE")
            swap_seconds.append(time.monotonic() - begin)
            if number > 3:
                shutil.rmtree(tmp_path / "m" / str(number - 2))
            memory.append(server.memory)
        wait_until(lambda: load.answered >= REQUESTS or load.failures, 3600)
    settled = memory[SWAPS // 4]
    print(
        f"\n{SWAPS} swaps, {load.answered} requests by {len(load.versions)} versions, {len(load.failures)} failures; "
        f"a swap takes {sorted(swap_seconds)[SWAPS // 2]:.2f} s; memory {settled / 1e6:.0f} MB after a quarter of the "
        f"swaps, {memory[-1] / 1e6:.0f} MB after all"
    )
    assert load.failures == []
    assert load.answered >= REQUESTS
    assert len(load.versions) > SWAPS / 2
    assert memory[-1] <= settled * MOST_GROWTH


def cut(path, count=0):
    path.write_bytes(path.read_bytes()[:count])


def cut_graph(folder):
    cut(folder / "saved_model.pb", 2000)


def no_protocol_buffer(folder):
    (folder / "saved_model.pb").write_bytes(b"\xff" * 100)


def cut_variables(folder):
    cut(folder / "variables" / "variables.data-00000-of-00001")


def cut_index(folder):
    cut(folder / "variables" / "variables.index", 20)


def no_variables(folder):
    shutil.rmtree(folder / "variables")


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def other_tags(folder):
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((folder / "saved_model.pb").read_bytes())
    saved_model.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())


def failing_warm_up(folder):
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no records" * 10)


def hostile(module):
    def replace(folder):
        shutil.rmtree(folder)
        tf.saved_model.save(module(), str(folder))

    return replace


def link_without_target(folder):
    (folder / "assets" / "none").symlink_to(folder / "nowhere")
    cut_variables(folder)


DAMAGES = (
    cut_graph,
    no_protocol_buffer,
    cut_variables,
    cut_index,
    no_variables,
    empty,
    other_tags,
    failing_warm_up,
    hostile(Reader),
    hostile(Runner),
    link_without_target,
)


@pytest.mark.chaos
def test_broken_versions_are_never_served(tmp_path, version, start, clients, wait_until):
    version(1, tmp_path / "m" / "1")
    server = start(tmp_path)
    memory = []
    with clients(server, rest=1, grpc=1, interval=0.01) as load:
        for number in range(2, BROKEN + 2):
            prepared = version(1, tmp_path / "prepared" / str(number))
            DAMAGES[number % len(DAMAGES)](prepared)
            prepared.rename(tmp_path / "m" / str(number))
            wait_until(lambda number=number: states(server).get(number) == "END")
            assert httpx.get(f"{server.url}/health/ready", timeout=60).status_code == 503
            shutil.rmtree(tmp_path / "m" / str(number))
            wait_until(lambda number=number: number not in states(server))
            assert httpx.get(f"{server.url}/health/ready", timeout=60).status_code == 200
            memory.append(server.memory)
    settled = memory[BROKEN // 4]
    print(
        f"\n{BROKEN} broken versions of {len(DAMAGES)} kinds, {load.answered} requests, {len(load.failures)} failures; "
        f"memory {settled / 1e6:.0f} MB after a quarter, {memory[-1] / 1e6:.0f} MB after all"
    )
    assert load.failures == []
    assert set(load.versions) == {1}
    assert memory[-1] <= settled * MOST_GROWTH
    assert server.process.poll() is None
