"""A server in a process of its own, tiny models whose answers name their version, and clients that count failures."""

import collections
import contextlib
import dataclasses
import importlib.machinery
import importlib.util
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

# Tests are no package: what several files beside this one share are modules of one that is made here.
_FOLDER = importlib.machinery.ModuleSpec("endurance", None, is_package=True)
_FOLDER.submodule_search_locations = [str(Path(__file__).parent)]
sys.modules["endurance"] = importlib.util.module_from_spec(_FOLDER)

SECONDS = 120  # for what must happen at some time on a machine that others use too


class Numbered(tf.Module):
    """Answers its number and the length of the text, so that a client sees which version answered which text."""

    def __init__(self, number):
        self.number = tf.Variable(number)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        length = tf.strings.length(text)
        return {"number": tf.zeros_like(length) + self.number, "length": length}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def numbers(self, x):
        return {"y": x + 1.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        size = tf.size(inputs)
        return {"classes": tf.fill([size, 1], "good"), "scores": tf.fill([size, 1], 0.5)}


@dataclasses.dataclass
class Server:
    """A running server."""

    process: subprocess.Popen
    url: str
    grpc_address: str
    log: list
    is_logging: Callable[[], bool]

    @property
    def memory(self):
        """The resident bytes of the process."""
        return psutil.Process(self.process.pid).memory_info().rss


@pytest.fixture(scope="session")
def version(tmp_path_factory):
    """A function that writes a version whose answers contain a number; requests of its model are batched."""
    base = tmp_path_factory.mktemp("numbered")
    model = Numbered(1)
    names = ("serving_default", "numbers", "classify")
    signatures = {name: getattr(model, name) for name in names}

    def write(number, target):
        if not (base / str(number)).exists():
            model.number.assign(number)
            tf.saved_model.save(model, str(base / str(number)), signatures=signatures)
            extra = base / str(number) / "assets.extra"
            extra.mkdir()
            (extra / "kbert.json").write_text(json.dumps({"format": 1, "task": "classification"}))
        # Written beside the target and renamed, as kbert export does.
        hidden = target.parent / f".{target.name}.part"
        hidden.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(base / str(number), hidden)
        return hidden.rename(target)

    return write


@pytest.fixture
def start():
    """A function that starts `kbert serve` in a process of its own, which ends with the test."""
    with contextlib.ExitStack() as stack:

        def started(folder, *options):
            words = [str(folder), "--rest-port", "0", "--grpc-port", "0", "--poll-seconds", "0.1", *options]
            repository = Path(__file__).parents[3]
            process = subprocess.Popen(
                [sys.executable, "-m", "kbert", "serve", *words],
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(repository)},
            )
            lines, log = queue.Queue(), []
            # pytest shows it if the test fails.
            stack.callback(lambda: print("".join(log[-2000:])))

            def read():
                with process.stderr:
                    for line in process.stderr:
                        lines.put(line)
                        log.append(line)

            reader = threading.Thread(target=read)
            reader.start()
            stack.callback(reader.join)
            stack.callback(process.wait)
            stack.callback(process.kill)
            addresses = []
            while len(addresses) < 2:
                line = lines.get(timeout=SECONDS)
                if line.startswith("serving ") and " at " in line:
                    addresses.append(line.split(" at ")[1].split()[0])
            return Server(process, *addresses, log, reader.is_alive)

        yield started


class Clients:
    """Clients that send requests until they are stopped, and collect answers and failures.

    Args:
        server: The server.
        rest: The number of clients of the REST API.
        grpc: The number of clients of the gRPC API.
        interval: The seconds between the starts of two requests of a client, unless an answer takes longer.
    """

    def __init__(self, server, *, rest=3, grpc=2, interval=0.0):
        self.versions = collections.Counter()
        self.latencies = []
        self.failures = []
        self._server = server
        self._interval = interval
        self._stop = threading.Event()
        kinds = [self._rest] * rest + [self._grpc] * grpc
        self._threads = [threading.Thread(target=kind, args=(seed,)) for seed, kind in enumerate(kinds)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self):
        return sum(self.versions.values())

    def _rest(self, seed):
        with httpx.Client(base_url=self._server.url, timeout=SECONDS) as client:

            def ask(texts):
                answer = client.post("/v1/models/m:predict", json={"instances": texts})
                assert answer.status_code == 200, answer.text
                rows = answer.json()["predictions"]
                return [row["number"] for row in rows], [row["length"] for row in rows]

            self._ask_all(ask, seed)

    def _grpc(self, seed):
        with grpc.insecure_channel(self._server.grpc_address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

            def ask(texts):
                request = predict_pb2.PredictRequest()
                request.model_spec.name = "m"
                request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts))
                response = stub.Predict(request, timeout=SECONDS)
                numbers = list(response.outputs["number"].int_val)
                assert set(numbers) == {response.model_spec.version.value}, response
                return numbers, list(response.outputs["length"].int_val)

            self._ask_all(ask, seed)

    def _ask_all(self, ask, seed):
        rng = np.random.default_rng(seed)
        newest = 0
        next_start = time.monotonic() + self._interval * rng.random()
        while not self._stop.is_set():
            # Most requests are small; some are divided into several batches.
            size = int(rng.integers(33, 80) if rng.random() < 0.05 else rng.integers(1, 5))
            texts = ["x" * int(rng.integers(1, 200)) for _ in range(size)]
            start = time.perf_counter()
            try:
                numbers, lengths = ask(texts)
                assert lengths == [len(text) for text in texts], (lengths, texts)
                assert len(set(numbers)) == 1, numbers
                assert numbers[0] >= newest, (numbers, newest)
                newest = numbers[0]
                self.versions[newest] += 1
            except Exception as problem:
                self.failures.append(repr(problem)[:500])
                time.sleep(0.05)
            self.latencies.append((time.monotonic(), time.perf_counter() - start))
            # A client that is late does not catch up.
            next_start = max(next_start + self._interval, time.monotonic() - self._interval)
            time.sleep(max(0.0, next_start - time.monotonic()))


@pytest.fixture
def clients():
    return Clients


@pytest.fixture
def wait_until():
    """A function that waits until something is true."""

    def wait(is_true, seconds=SECONDS):
        end = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.02)

    return wait
