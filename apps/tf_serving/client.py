"""Sends texts to a model on TensorFlow Serving or `kbert serve`, and prints one JSON object per line.

    python client.py --model sentiment "good film" "bad film"
    python client.py --model nli "A man sleeps." --pair "A man is awake."
    python client.py --model sentiment --method classify "good film"
    python client.py --grpc localhost:8500 --model sentiment "good film"

REST needs only Python's standard library. gRPC needs the package tensorflow-serving-api.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.client
import importlib
import json
import os
import random
import sys
import time
import types
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0
_MESSAGES = (
    "classification_pb2 get_model_metadata_pb2 input_pb2 model_pb2 predict_pb2 prediction_service_pb2_grpc "
    "regression_pb2"
).split()


class ClientError(Exception):
    """An error message for the user, in one line."""


class BusyError(ClientError):
    """An error after which another attempt may succeed: the server is busy, starts or restarts.

    Attributes:
        pause: The seconds that the server asks the client to wait; 0 if it does not ask.
    """

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program, and returns its exit code: 0 for success, 1 if the server gives no answer.

    Invalid options end the process with the exit code 2.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    columns = [options.texts] if options.pair is None else [options.texts, options.pair]
    if len(columns[-1]) != len(options.texts):
        parser.error(f"expected one --pair for each of the {len(options.texts)} texts. Received: {len(options.pair)}")
    if options.inputs is not None and len(options.inputs) != len(columns):
        parser.error(f"expected --inputs with {len(columns)} names. Received: {','.join(options.inputs)}")
    if options.timeout <= 0:
        parser.error(f"expected --timeout above 0. Received: {options.timeout}")
    if options.retries < 0:
        parser.error(f"expected --retries of at least 0. Received: {options.retries}")

    method = options.method
    signature = options.signature or ("serving_default" if method == "predict" else method)
    kind, address = (RestModel, options.url) if options.grpc is None else (GrpcModel, options.grpc)
    try:
        model = kind(address, options.model, options.version, options.label, options.timeout, options.retries)
        names = options.inputs or input_names(model, method, signature, len(columns))
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        answers = getattr(model, method)(signature, rows)
        if len(answers) != len(rows):
            raise ClientError(f"expected {len(rows)} answers from the model. Received: {len(answers)}")
    except ClientError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    for row, answer in zip(rows, answers, strict=True):
        print(json.dumps({**row, "prediction": answer}, ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="a text for the model")
    parser.add_argument(
        "--url", default="http://localhost:8501", help="the address of the server's REST API (default: %(default)s)"
    )
    parser.add_argument("--grpc", metavar="HOST:PORT", help="use gRPC at this address instead of REST")
    parser.add_argument("--model", required=True, metavar="NAME", help="the name of the model on the server")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--version", type=int, metavar="N", help="the version of the model (default: the served version)"
    )
    which.add_argument("--label", metavar="LABEL", help="the label of the version, such as stable or canary")
    parser.add_argument(
        "--method",
        choices=("predict", "classify", "regress"),
        default="predict",
        help="the method of the API; classify and regress send the texts as tf.Example (default: %(default)s)",
    )
    parser.add_argument(
        "--signature",
        help="the signature of the model (default: serving_default for predict; otherwise the name of the method)",
    )
    parser.add_argument(
        "--pair",
        action="append",
        metavar="TEXT",
        help="the second text of a pair; give the option once for each TEXT, in the same order",
    )
    parser.add_argument(
        "--inputs",
        type=lambda names: names.split(","),
        metavar="NAME[,NAME]",
        help="the model's input names for a text and its pair (default: the only input, or text,text_pair)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for an answer, including all retries (default: %(default)s)",
    )
    parser.add_argument(
        "--retries",
        type=int,
        default=3,
        metavar="N",
        help="how often to repeat a request that a busy or absent server did not answer (default: %(default)s)",
    )
    return parser


class RestModel:
    """A model at the URL of a server's REST API, such as http://localhost:8501."""

    def __init__(
        self, url: str, name: str, version: int | None, label: str | None, timeout: float, retries: int
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/models/{urllib.parse.quote(name, safe='')}"
        if version is not None:
            self._url += f"/versions/{version}"
        if label is not None:
            self._url += f"/labels/{urllib.parse.quote(label, safe='')}"
        self._timeout, self._retries = timeout, retries

    def inputs(self) -> dict[str, list[str]]:
        """Returns the names of the inputs of each signature, sorted."""
        signatures = self._ask("/metadata", None, "metadata")["signature_def"]["signature_def"]
        return {name: sorted(signature.get("inputs", {})) for name, signature in signatures.items()}

    def predict(self, signature: str, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        """Returns the outputs for each row: the value of a single output, or an object with all outputs."""
        return self._ask(":predict", {"signature_name": signature, "instances": rows}, "predictions")

    def classify(self, signature: str, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        """Returns a list of [label, score] for each row."""
        return self._ask(":classify", {"signature_name": signature, "examples": rows}, "results")

    def regress(self, signature: str, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        """Returns a number for each row."""
        return self._ask(":regress", {"signature_name": signature, "examples": rows}, "results")

    def _ask(self, path: str, body: Any, key: str) -> Any:
        url = self._url + path
        answer = with_retries(lambda timeout: ask(url, body, timeout), self._timeout, self._retries)
        if not isinstance(answer, dict) or key not in answer:
            raise ClientError(f"expected an answer with the key {key} from {url}. Received: {json.dumps(answer)[:100]}")
        return answer[key]


def ask(url: str, body: Any, timeout: float) -> Any:
    """Sends a GET request, or a POST request with `body`, and returns the JSON of the answer.

    Args:
        url: The URL.
        body: The body of a POST request; None sends a GET request.
        timeout: The seconds to wait for an answer.

    Raises:
        BusyError: No server accepts the connection, or the server answers 429 or 503.
        ClientError: The server answers with another error, or not in time.
    """
    data = None if body is None else json.dumps(body).encode("utf-8")
    try:
        request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as problem:
        with problem:
            text = problem.read().decode("utf-8", errors="replace")
        try:
            text = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            text = text.strip() or problem.reason
        message = f"{url} answers {problem.code}: {text}"
        if problem.code in (429, 503):
            pause = problem.headers.get("Retry-After", "")
            raise BusyError(message, float(pause) if pause.isdecimal() else 0.0) from None
        raise ClientError(message) from None
    except (OSError, ValueError, http.client.HTTPException) as problem:
        reason = getattr(problem, "reason", problem)
        error = BusyError if isinstance(reason, ConnectionError) else ClientError
        raise error(f"no answer from {url} ({reason}); is the server running there?") from None


class GrpcModel:
    """A model at the address HOST:PORT of a server's gRPC API."""

    def __init__(
        self, address: str, name: str, version: int | None, label: str | None, timeout: float, retries: int
    ) -> None:
        self._api = _grpc_api()
        self._address = address
        self._spec = {"name": name}
        if label is not None:
            self._spec["version_label"] = label
        self._version = version
        self._timeout, self._retries = timeout, retries
        # Without this option, gRPC refuses answers above 4 MiB.
        channel = self._api.grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
        self._stub = self._api.prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def inputs(self) -> dict[str, list[str]]:
        """Returns the names of the inputs of each signature, sorted."""
        metadata = self._api.get_model_metadata_pb2
        request = metadata.GetModelMetadataRequest(metadata_field=["signature_def"])
        answer = self._call(self._stub.GetModelMetadata, request, "")
        signatures = metadata.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        return {name: sorted(signature.inputs) for name, signature in signatures.signature_def.items()}

    def predict(self, signature: str, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        """Returns the outputs for each row: the value of a single output, or an object with all outputs."""
        request = self._api.predict_pb2.PredictRequest()
        for name in rows[0]:
            texts = [row[name].encode("utf-8") for row in rows]
            request.inputs[name].CopyFrom(self._api.tensorflow.make_tensor_proto(texts))
        answer = self._call(self._stub.Predict, request, signature)
        outputs = {name: self._api.tensorflow.make_ndarray(tensor) for name, tensor in answer.outputs.items()}
        for name, array in outputs.items():
            if array.shape[:1] != (len(rows),):
                raise ClientError(f"expected {len(rows)} rows in the output {name}. Received: shape {array.shape}")
        columns = {name: _values(name, array) for name, array in sorted(outputs.items())}
        if len(columns) == 1:
            return next(iter(columns.values()))
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def classify(self, signature: str, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        """Returns a list of [label, score] for each row."""
        request = self._api.classification_pb2.ClassificationRequest(input=self._examples(rows))
        answer = self._call(self._stub.Classify, request, signature)
        return [
            [[each.label, self._float(each.score)] for each in row.classes] for row in answer.result.classifications
        ]

    def regress(self, signature: str, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        """Returns a number for each row."""
        request = self._api.regression_pb2.RegressionRequest(input=self._examples(rows))
        answer = self._call(self._stub.Regress, request, signature)
        return [self._float(row.value) for row in answer.result.regressions]

    def _examples(self, rows: Sequence[Mapping[str, str]]) -> Any:
        train = self._api.tensorflow.train
        examples = []
        for row in rows:
            features = {
                name: train.Feature(bytes_list=train.BytesList(value=[text.encode("utf-8")]))
                for name, text in row.items()
            }
            examples.append(train.Example(features=train.Features(feature=features)))
        return self._api.input_pb2.Input(example_list=self._api.input_pb2.ExampleList(examples=examples))

    def _float(self, value: float) -> float:
        """The shortest decimal that is the same float32, as the REST API writes it."""
        return float(str(self._api.numpy.float32(value)))

    def _call(self, method: Callable[..., Any], request: Any, signature: str) -> Any:
        request.model_spec.CopyFrom(self._api.model_pb2.ModelSpec(**self._spec, signature_name=signature))
        if self._version is not None:
            request.model_spec.version.value = self._version

        def send(timeout: float) -> Any:
            grpc = self._api.grpc
            try:
                return method(request, timeout=timeout)
            except grpc.RpcError as problem:
                code, details = problem.code(), " ".join((problem.details() or "").split())
                message = f"the call to {self._address} failed with {code.name}: {details}"
                if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
                    raise BusyError(message) from None
                raise ClientError(message) from None

        return with_retries(send, self._timeout, self._retries)


def _grpc_api() -> Any:
    """The modules that gRPC needs, as attributes of one object."""
    # TensorFlow, which tensorflow-serving-api imports, would print messages about the processor.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        modules = {name: importlib.import_module(name) for name in ("grpc", "numpy", "tensorflow")}
        for name in _MESSAGES:
            modules[name] = importlib.import_module(f"tensorflow_serving.apis.{name}")
    except ImportError as problem:
        raise ClientError(
            f"expected the package tensorflow-serving-api for --grpc. Received: {problem}; "
            "run pip install tensorflow-serving-api"
        ) from None
    return types.SimpleNamespace(**modules)


def _values(name: str, array: Any) -> list[Any]:
    """An array as nested lists, by the rules of the REST API."""
    if array.dtype.kind in "biu":
        return array.tolist()
    # float(str(...)) is the shortest decimal that is the same float32: 0.1, not 0.10000000149011612.
    leaf = functools.partial(_text, name) if array.dtype.kind == "O" else lambda number: float(str(number))

    def nested(part: Any) -> Any:
        return [nested(each) for each in part] if getattr(part, "ndim", 0) else leaf(part)

    return nested(array)


def _text(name: str, value: bytes) -> Any:
    if not name.endswith("_bytes"):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(value).decode("ascii")}


def input_names(model: RestModel | GrpcModel, method: str, signature: str, count: int) -> list[str]:
    """Returns the names of a model's text inputs, from its metadata.

    Args:
        model: The model.
        method: "predict", "classify" or "regress". The metadata of the latter two do not name the features of the
            examples, which are `text` and `text_pair` in a model of kbert.
        signature: The name of the signature.
        count: The number of text inputs.

    Raises:
        ClientError: The model has no such signature or another number of inputs, or the order of its inputs is unknown.
    """
    usual = ["text", "text_pair"]
    if method != "predict":
        return usual[:count]
    signatures = {name: inputs for name, inputs in model.inputs().items() if not name.startswith("__")}
    if signature not in signatures:
        raise ClientError(f"the model has no signature {signature}; it has: {', '.join(sorted(signatures))}")
    names = signatures[signature]
    if len(names) != count:
        raise ClientError(f"the model takes {len(names)} inputs ({', '.join(names)}). Received: {count}")
    # The metadata do not contain the order of the inputs.
    if count == 1 or names == usual:
        return names
    raise ClientError(f"name the model's inputs in the order of your texts: --inputs {','.join(names)}")


def with_retries(send: Callable[[float], Any], timeout: float, retries: int) -> Any:
    """Calls `send` until it raises no BusyError, and returns its result.

    The pauses between the attempts double from a quarter of a second to five seconds. Each one is shortened by a
    random part, so that clients which a restarting server dropped together do not come back together.

    Args:
        send: A function that takes the number of seconds it may wait.
        timeout: The seconds for all attempts and pauses.
        retries: The largest number of further attempts.

    Raises:
        ClientError: `send` raised it; or its last BusyError, when no attempt or no time is left.
    """
    deadline = time.monotonic() + timeout
    for number in range(retries):
        try:
            return send(max(deadline - time.monotonic(), 0.001))
        except BusyError as problem:
            pause = min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE) * random.uniform(0.5, 1)
            pause = max(pause, min(problem.pause, _LONGEST_PAUSE))
            if time.monotonic() + pause >= deadline:
                raise
            time.sleep(pause)
    return send(max(deadline - time.monotonic(), 0.001))


if __name__ == "__main__":
    sys.exit(main())
