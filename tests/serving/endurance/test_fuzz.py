"""Requests that are wrong in every way: the server answers them with an error of the client, and lives."""

import base64
import collections
import concurrent.futures
import contextlib
import gzip
import http.client
import json
import os
import random
import socket
import time

import grpc
import pytest
import tensorflow as tf
from endurance.fuzzed_json import BODIES, PATHS, VALID
from endurance.fuzzed_protos import examples, spec, tensor
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

REQUESTS = int(os.environ.get("KBERT_FUZZED_REQUESTS", "50000"))
THREADS = 4
PARTS = 5
"""The memory is measured after each of these parts of the requests. The first one is the warm-up."""
MOST_GROWTH = 1.05
GRPC_CODES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "CANCELLED",
    "DEADLINE_EXCEEDED",  # the fuzzer's own deadlines
}


class Rest:
    """Sends one request after the other over a connection of HTTP, and returns the status of the answer."""

    def __init__(self, server):
        host, port = server.url.removeprefix("http://").split(":")
        self.address = (host, int(port))
        self._connection = None

    def __call__(self, rng):
        body, headers = rng.choice(BODIES)(rng), {"Content-Type": "application/json"}
        choice = rng.random()
        if choice < 0.05:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        elif choice < 0.1:
            headers["Content-Encoding"] = rng.choice(["gzip", "br", "deflate", "gzip, gzip", "\xff", ""])
        elif choice < 0.102:
            body = gzip.compress(bytes(rng.choice([2**20, 2**24, 2**26 + 1])))
            headers["Content-Encoding"] = "gzip"
        path = rng.choice(PATHS)
        if rng.random() < 0.2:
            path = f"/v1/models/{rng.getrandbits(64):x}:predict"
        method = rng.choice(["POST"] * 9 + ["GET", "HEAD", "PUT", "OPTIONS", "DELETE", "TRACE"])
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self.address, timeout=120)
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (http.client.HTTPException, ConnectionError):
            # The answer to something else than HTTP/1.1 ends the connection.
            self.close()
            return "closed"
        if answer.will_close:
            self.close()
        if answer.status >= 400 and method != "HEAD":
            assert isinstance(json.loads(content)["error"], str), content
        return answer.status

    def close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None


# === Sockets ===

REQUEST_LINE = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\n"
RAW = [
    lambda rng: rng.randbytes(rng.randrange(1, 3000)),
    lambda rng: b"GET / HTTP/9.9\r\n\r\n",
    lambda rng: b"GET\r\n\r\n",
    lambda rng: b"\r\n" * 1000,
    lambda rng: REQUEST_LINE + b"Content-Length: -1\r\n\r\n",
    lambda rng: REQUEST_LINE + b"Content-Length: 99999999999999999999\r\n\r\n",
    lambda rng: REQUEST_LINE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    lambda rng: REQUEST_LINE + b"Content-Length: 1000000000\r\n\r\nabc",
    lambda rng: REQUEST_LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    lambda rng: REQUEST_LINE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    lambda rng: REQUEST_LINE + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc",
    lambda rng: REQUEST_LINE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    lambda rng: REQUEST_LINE + b"Transfer-Encoding: gzip\r\n\r\nabc",
    lambda rng: REQUEST_LINE + b"A: " + b"b" * 70_000 + b"\r\n\r\n",
    lambda rng: REQUEST_LINE + b"A: b\r\n" * 20_000,
    lambda rng: b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    lambda rng: b"GET /v1/models/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    lambda rng: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    lambda rng: REQUEST_LINE + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a\r\n\r\n",
    lambda rng: REQUEST_LINE + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    lambda rng: (REQUEST_LINE + b"Content-Length: 19\r\n\r\n" + b'{"instances":["a"]}') * 20,
    lambda rng: bytes.fromhex("16030100a5010000a1"),  # the beginning of TLS
]


def raw(address, rng):
    """Sends bytes over a socket, reads for a moment or not at all, and returns the status of the answer."""
    with socket.create_connection(address, timeout=60) as connection, contextlib.suppress(ConnectionError):
        content = rng.choice(RAW)(rng)
        middle = rng.randrange(len(content) + 1)
        connection.sendall(content[:middle])
        if rng.random() < 0.1:
            time.sleep(0.01)
        connection.sendall(content[middle:])
        if rng.random() < 0.3:
            return "left"
        connection.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            answer = connection.recv(100)
            return int(answer.split()[1]) if answer.startswith(b"HTTP/") else "closed"
    return "closed"


# === gRPC ===


class Grpc:
    """Sends one call after the other, and returns the code of the answer."""

    def __init__(self, server):
        self._channel = grpc.insecure_channel(server.grpc_address)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def __call__(self, rng):
        kind = rng.choice([self.predict] * 6 + [self.infer, self.look, self.send_bytes])
        call, request = kind(rng)
        timeout = rng.choice([60] * 9 + [0.001])
        future = call.future(request, timeout=timeout)
        if rng.random() < 0.03:
            future.cancel()
        try:
            future.result()
        except grpc.FutureCancelledError:
            return "CANCELLED"
        except grpc.RpcError as problem:
            code = problem.code().name
            # gRPC itself answers what is no message of the service.
            return "no message" if problem.details() == "Exception deserializing request!" else code
        return "OK"

    def predict(self, rng):
        request = predict_pb2.PredictRequest()
        spec(rng, request.model_spec)
        for name in rng.sample(["text", "x", "", "é", "inputs"], rng.choice([0, 1, 1, 1, 2])):
            request.inputs[name].CopyFrom(tensor(rng))
        if rng.random() < 0.5:
            request.ClearField("inputs")
            request.inputs["text"].CopyFrom(tf.make_tensor_proto(["a"] * rng.choice([1, 2, 40])))
        request.output_filter.extend(rng.choices(["number", "length", "y", ""], k=rng.choice([0, 0, 1, 2, 3])))
        return self._predictions.Predict, request

    def infer(self, rng):
        request = rng.choice(
            [
                classification_pb2.ClassificationRequest,
                regression_pb2.RegressionRequest,
                inference_pb2.MultiInferenceRequest,
            ]
        )()
        examples(rng, request.input)
        if isinstance(request, inference_pb2.MultiInferenceRequest):
            for _ in range(rng.choice([0, 1, 2])):
                task = request.tasks.add(method_name=rng.choice(["tensorflow/serving/classify", "x"]))
                spec(rng, task.model_spec)
            return self._predictions.MultiInference, request
        spec(rng, request.model_spec)
        is_classify = isinstance(request, classification_pb2.ClassificationRequest)
        return self._predictions.Classify if is_classify else self._predictions.Regress, request

    def look(self, rng):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[rng.choice(["signature_def", "x"])])
        if rng.random() < 0.5:
            spec(rng, request.model_spec)
            return self._predictions.GetModelMetadata, request
        request = get_model_status_pb2.GetModelStatusRequest()
        spec(rng, request.model_spec)
        return self._models.GetModelStatus, request

    def send_bytes(self, rng):
        method = rng.choice(
            ["PredictionService/Predict", "PredictionService/None", "ModelService/GetModelStatus", "X/Y"]
        )
        content = bytearray(self.predict(rng)[1].SerializeToString())
        for _ in range(5):
            if content:
                content[rng.randrange(len(content))] = rng.randrange(256)
        return self._channel.unary_unary(f"/tensorflow.serving.{method}"), bytes(content)

    def close(self):
        self._channel.close()


def test_the_fuzzer_is_repeatable_and_sends_valid_requests_too():
    first, second = ([body(random.Random(3)) for body in BODIES] for _ in range(2))
    assert first == second
    assert base64.b64decode(VALID[4]["context"]["d"]["b64"]) == b"x"


@pytest.mark.chaos
def test_fuzzed_requests_get_errors_of_the_client_and_need_no_memory(tmp_path, version, start, clients):
    version(1, tmp_path / "m" / "1")
    server = start(tmp_path)

    def send(seed, count):
        rng, seen = random.Random(seed), collections.Counter()
        rest, calls = Rest(server), Grpc(server)
        for _ in range(count):
            choice = rng.random()
            kind = "REST" if choice < 0.6 else "gRPC" if choice < 0.9 else "socket"
            state = rng.getstate()
            answer = rest(rng) if kind == "REST" else calls(rng) if kind == "gRPC" else raw(rest.address, rng)
            seen[kind, answer] += 1
            is_well = answer in GRPC_CODES or answer in ("closed", "left", "no message")
            is_well |= isinstance(answer, int) and (answer in (100, 200, 503) or 400 <= answer < 500)
            assert is_well, (kind, answer, seed, hash(state))
        rest.close()
        calls.close()
        return seen

    def send_all(seed, count):
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(send, range(seed, seed + THREADS), [count // THREADS] * THREADS), collections.Counter())

    begin = time.monotonic()
    seen, memory = collections.Counter(), []
    with clients(server, rest=1, grpc=1, interval=0.05) as valid:
        for part in range(PARTS):
            seen += send_all(part * THREADS, REQUESTS // PARTS)
            memory.append(server.memory)
    print(
        f"\n{sum(seen.values())} requests in {time.monotonic() - begin:.0f} s: "
        f"{', '.join(f'{kind} {answer} {count}' for (kind, answer), count in sorted(seen.items(), key=str))}; "
        f"{valid.answered} valid ones beside them; memory {', '.join(f'{each / 1e6:.0f}' for each in memory)} MB"
    )
    assert server.process.poll() is None
    assert valid.failures == []
    assert seen["REST", 200] > 0
    assert seen["gRPC", "OK"] > 0
    assert memory[-1] <= memory[0] * MOST_GROWTH
