"""SIGTERM under load: requests that the server has accepted are answered."""

import os
import random
import signal
import threading
import time

import grpc
import httpx
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

RUNS = int(os.environ.get("KBERT_SHUTDOWNS", "5"))
CLIENTS = 8


class Client:
    """Asks until the server takes no more requests. Over REST, a request that was sent without an answer is lost.

    gRPC's server for Python ends calls that it has not yet given to a thread with CANCELLED or UNAVAILABLE. These are
    not accepted. That all others are answered is seen by the log of the server.
    """

    def __init__(self, server):
        self.server = server
        self.answered = 0
        self.lost = []
        self.refused = ""
        self.thread = threading.Thread(target=self.run)

    def run(self):
        raise NotImplementedError


class RestClient(Client):
    def run(self):
        with httpx.Client(base_url=self.server.url, timeout=60) as client:
            while True:
                try:
                    answer = client.post("/v1/models/m:predict", json={"instances": ["abc"]})
                except httpx.ConnectError:
                    return  # it was not accepted
                except httpx.HTTPError as problem:
                    self.lost.append(repr(problem))
                    return
                assert (answer.status_code, answer.json()["predictions"][0]["length"]) == (200, 3)
                self.answered += 1


class GrpcClient(Client):
    def run(self):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "m"
        request.inputs["text"].CopyFrom(tf.make_tensor_proto(["abc"]))
        with grpc.insecure_channel(self.server.grpc_address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while True:
                try:
                    response = stub.Predict(request, timeout=60)
                except grpc.RpcError as problem:
                    if problem.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                        self.lost.append(f"{problem.code()}: {problem.details()}")
                    self.refused = f"{problem.code().name}: {problem.details()}"
                    return
                assert list(response.outputs["length"].int_val) == [3]
                self.answered += 1


@pytest.mark.chaos
@pytest.mark.parametrize("kind", [RestClient, GrpcClient])
def test_sigterm_loses_no_accepted_request(tmp_path, version, start, wait_until, kind):
    version(1, tmp_path / "m" / "1")
    rng = random.Random(kind.__name__)
    answered, seconds = 0, []
    for _ in range(RUNS):
        server = start(tmp_path, "--log-requests")
        clients = [kind(server) for _ in range(CLIENTS)]
        for client in clients:
            client.thread.start()
        time.sleep(rng.uniform(1, 3))
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.thread.join()
        assert server.process.wait(60) == 0
        seconds.append(time.monotonic() - begin)
        lost = [each for client in clients for each in client.lost]
        now = sum(client.answered for client in clients)
        answered += now
        wait_until(lambda server=server: not server.is_logging())
        accepted = sum('"predict' in line.lower() for line in server.log)
        refused = sum(client.refused.startswith("CANCELLED") for client in clients)
        print(
            f"\n{kind.__name__}: {accepted} accepted, {now} answered, {len(lost)} lost, {refused} cancelled before "
            f"they were accepted; the process ended after {seconds[-1]:.1f} s"
        )
        assert lost == []
        assert accepted == now
    assert answered > RUNS * CLIENTS
