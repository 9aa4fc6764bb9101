"""The servers that serving.py and serving_first_request.py compare: their processes, requests and answers.

All serve one classifier, take texts and answer with a label and probabilities. Their REST requests and answers have the
form of TensorFlow Serving's API.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import inference
import numpy as np
import turns

MODEL = "sst2"
HOST = "127.0.0.1"
_SECONDS_TO_START = 300
_LITERT_ENCODERS = {"saved_model_litert": "none", "saved_model_int8": "dynamic"}
"""The folders of SavedModels that have an encoder for LiteRT, and the dtype of its weights (`--litert-encoder`)."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A server, and the API by which it is asked."""

    api: str
    """"rest" or "grpc"."""
    package: str
    """The package that the server needs."""
    saved_models: str = ""
    """The folder with the versions of a SavedModel that `kbert serve` serves; empty for other servers."""
    engine: str = ""
    """The engine of `kbert serve`."""


CONTESTANTS = {
    "kbert-rest": Contestant("rest", "tensorflow", "saved_model", "tensorflow"),
    "kbert-grpc": Contestant("grpc", "tensorflow", "saved_model", "tensorflow"),
    "kbert-rest-litert": Contestant("rest", "tensorflow", "saved_model_litert", "litert"),
    "kbert-grpc-litert": Contestant("grpc", "tensorflow", "saved_model_litert", "litert"),
    "kbert-rest-int8": Contestant("rest", "tensorflow", "saved_model_int8", "litert"),
    "kbert-grpc-int8": Contestant("grpc", "tensorflow", "saved_model_int8", "litert"),
    "transformers": Contestant("rest", "transformers"),
    "onnxruntime": Contestant("rest", "onnxruntime"),
    "onnxruntime-int8": Contestant("rest", "onnxruntime"),
}


# === Preparation ===


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the preparation, which both benchmarks have."""
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--minilm", type=Path, default=inference.minilm_folder(), help="the folder of all-MiniLM-L6-v2")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), dest="only")
    parser.add_argument("--texts", type=int, default=512, help="the number of texts of SST-2")
    parser.add_argument(
        "--prepared", type=Path, help="the folder of the models, which are made if it has none  [default: temporary]"
    )


def leave_out_missing(names: Iterable[str]) -> list[str]:
    """Returns the contestants that can run here, and prints why the others cannot."""
    result = []
    for name in names:
        contestant = CONTESTANTS[name]
        if importlib.util.find_spec(contestant.package) is None:
            print(f"{name}: left out, {contestant.package} is not installed")
        else:
            result.append(name)
    return result


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """Writes a fine-tuned classifier in the formats of all contestants, and all texts, unless the folder has them.

    Args:
        folder: The folder.
        options: The options of `add_options`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    complete = folder / "complete"
    if not complete.exists():
        onnx = ["onnxruntime"] if importlib.util.find_spec("onnxruntime") else []
        everything = argparse.Namespace(**{**vars(options), "only": onnx, "texts": None})
        inference.prepare("minilm", everything, folder)
        complete.touch()
    for saved_models in sorted({CONTESTANTS[name].saved_models for name in options.only} & _LITERT_ENCODERS.keys()):
        if not (folder / saved_models / "1").exists():
            import kbert

            kbert.export_saved_model(
                folder / "run",
                output=folder / saved_models,
                version=1,
                litert_encoder=_LITERT_ENCODERS[saved_models],
            )


def read_texts(folder: Path) -> list[str]:
    """Returns the texts of SST-2 in the order in which they are sent."""
    texts: list[str] = json.loads((folder / "texts.json").read_text())
    return texts


# === Servers ===


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    process: subprocess.Popen[str]
    rest_port: int
    grpc_port: int

    @property
    def api(self) -> str:
        """The API by which the contestant is asked."""
        return CONTESTANTS[self.name].api

    @property
    def port(self) -> int:
        """The port of that API."""
        return self.grpc_port if self.api == "grpc" else self.rest_port

    def stop(self) -> None:
        """Ends the server."""
        self.process.terminate()
        self.process.communicate()


def start(name: str, folder: Path, saved_models: Path | None = None) -> Server | None:
    """Starts a contestant and waits until it is ready; returns None with a message if it does not become ready.

    Args:
        name: The contestant.
        folder: The folder that `prepare` wrote.
        saved_models: The folder with the versions of the SavedModel for `kbert serve`; None for that in `folder`.
    """
    contestant = CONTESTANTS[name]
    rest_port, grpc_port = _free_ports(2)
    if contestant.saved_models:
        versions = saved_models or folder / contestant.saved_models
        command = [sys.executable, "-m", "kbert", "serve", "--model-name", MODEL, "--model-base-path", str(versions)]
        command += ["--host", HOST, "--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
        command += ["--engine", contestant.engine]
    else:
        peers = str(Path(__file__).with_name("serving_peers.py"))
        command = [sys.executable, peers, name, str(folder), "--host", HOST, "--port", str(rest_port)]
    server = Server(name, turns.start(command, {"TOKENIZERS_PARALLELISM": "true"}), rest_port, grpc_port)
    if _becomes_ready(server):
        return server
    server.stop()
    print(f"{name}: left out, the server ended with {server.process.returncode} or was not ready", file=sys.stderr)
    return None


def _becomes_ready(server: Server) -> bool:
    deadline = time.monotonic() + _SECONDS_TO_START
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{server.rest_port}/health/ready", timeout=_SECONDS_TO_START):
                return True
        except (urllib.error.URLError, ConnectionError):  # it does not listen yet, or it answers 503
            time.sleep(0.1)
    return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


# === Requests and answers ===


def requests(api: str, batches: Iterable[Sequence[str]]) -> list[bytes]:
    """Returns the bytes that serving_load.py sends for some texts: a request of HTTP/1.1, or a serialized message."""
    if api == "rest":
        return [_rest_request(texts) for texts in batches]
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    result = []
    for texts in batches:
        message = PredictRequest()
        message.model_spec.name = MODEL
        message.inputs["text"].CopyFrom(tf.make_tensor_proto(list(texts), tf.string))
        result.append(message.SerializeToString())
    return result


def probabilities(api: str, answers: Iterable[bytes]) -> np.ndarray:
    """Returns the probabilities in the answers to `requests`, float32 [texts, 2]."""
    rows: list[Any] = []
    if api == "rest":
        for answer in answers:
            rows += [row["probabilities"] for row in json.loads(answer)["predictions"]]
        return np.array(rows, np.float32)
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    for answer in answers:
        rows += list(tf.make_ndarray(PredictResponse.FromString(answer).outputs["probabilities"]))
    return np.array(rows, np.float32)


def _rest_request(texts: Sequence[str]) -> bytes:
    body = json.dumps({"instances": list(texts)}).encode()
    head = f"POST /v1/models/{MODEL}:predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
