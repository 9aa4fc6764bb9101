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
import ssl
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

    method = options.method
    signature = options.signature or ("serving_default" if method == "predict" else method)
    try:
        model = RestModel(options) if options.grpc is None else GrpcModel(options)
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
    add = parser.add_argument
    add("texts", nargs="+", metavar="TEXT", help="a text for the model")
    add("--url", default="http://localhost:8501", help="the address of the REST API (default: %(default)s)")
    add("--grpc", metavar="HOST:PORT", help="use gRPC at this address instead of REST")
    add("--model", required=True, metavar="NAME", help="the name of the model on the server")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", type=int, metavar="N", help="the version (default: the served version)")
    which.add_argument("--label", metavar="LABEL", help="the label of the version, such as stable or canary")
    methods = ("predict", "classify", "regress")
    add("--method", choices=methods, default="predict", help="the method of the API (default: %(default)s)")
    add("--signature", help="the signature (default: serving_default for predict, otherwise the name of the method)")
    add("--pair", action="append", metavar="TEXT", help="the second text of a pair; once for each TEXT, in their order")
    add(
        "--inputs",
        type=lambda names: names.split(","),
        metavar="NAME[,NAME]",
        help="the model's input names for a text and its pair (default: the only input, or text,text_pair)",
    )
    wait = "how long to wait for an answer, including all retries (default: %(default)s)"
    add("--timeout", type=float, default=60.0, metavar="SECONDS", help=wait)
    again = "how often to repeat a request if the server is busy or does not run (default: %(default)s)"
    add("--retries", type=int, default=3, metavar="N", help=again)
    add("--api-key-file", metavar="FILE", help="a file with the key that the server asks for")
    trust = "the certificates (PEM) that vouch for the server; with --grpc, this option turns TLS on"
    add("--tls-authority", metavar="FILE", help=trust)
    return parser


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ClientError(f"expected a text file. Received: {path} ({problem})") from None


class RestModel:
    """A model at the URL of a server's REST API, such as http://localhost:8501."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._url = f"{options.url.rstrip('/')}/v1/models/{urllib.parse.quote(options.model, safe='')}"
        if options.version is not None:
            self._url += f"/versions/{options.version}"
        if options.label is not None:
            self._url += f"/labels/{urllib.parse.quote(options.label, safe='')}"
        self._options = options
        self._headers = {"Content-Type": "application/json"}
        if options.api_key_file is not None:
            self._headers["Authorization"] = f"Bearer {_read(options.api_key_file)}"
        self._tls = None
        if options.tls_authority is not None:
            try:
                self._tls = ssl.create_default_context(cadata=_read(options.tls_authority))
            except (ssl.SSLError, ValueError):
                raise ClientError(f"expected certificates in PEM. Received: {options.tls_authority}") from None

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
        answer = with_retries(
            lambda timeout: ask(url, body, timeout, self._headers, self._tls),
            self._options.timeout,
            self._options.retries,
        )
        if not isinstance(answer, dict) or key not in answer:
            raise ClientError(f"expected an answer with the key {key} from {url}. Received: {json.dumps(answer)[:100]}")
        return answer[key]


def ask(url: str, body: Any, timeout: float, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> Any:
    """Sends a GET request, or a POST request with `body`, and returns the JSON of the answer.

    Args:
        url: The URL.
        body: The body of a POST request; None sends a GET request.
        timeout: The seconds to wait for an answer.
        headers: The headers of the request.
        tls: Which servers to trust; None trusts those that Python trusts.

    Raises:
        BusyError: No server accepts the connection, or the server answers 429 or 503.
        ClientError: The server answers with another error, or not in time.
    """
    data = None if body is None else json.dumps(body).encode("utf-8")
    try:
        request = urllib.request.Request(url, data=data, headers=dict(headers))
        with urllib.request.urlopen(request, timeout=timeout, context=tls) as answer:
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

    def __init__(self, options: argparse.Namespace) -> None:
        self._api = _grpc_api()
        self._options = options
        self._metadata = []
        if options.api_key_file is not None:
            self._metadata.append(("authorization", f"Bearer {_read(options.api_key_file)}"))
        settings = [("grpc.max_receive_message_length", -1)]  # Without it, gRPC refuses answers above 4 MiB.
        if options.tls_authority is None:
            channel = self._api.grpc.insecure_channel(options.grpc, settings)
        else:
            credentials = self._api.grpc.ssl_channel_credentials(_read(options.tls_authority).encode())
            channel = self._api.grpc.secure_channel(options.grpc, credentials, settings)
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
        answer, float32 = self._call(self._stub.Classify, request, signature), self._api.numpy.float32
        return [
            [[each.label, _number(float32(each.score))] for each in row.classes]
            for row in answer.result.classifications
        ]

    def regress(self, signature: str, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        """Returns a number for each row."""
        request = self._api.regression_pb2.RegressionRequest(input=self._examples(rows))
        answer, float32 = self._call(self._stub.Regress, request, signature), self._api.numpy.float32
        return [_number(float32(row.value)) for row in answer.result.regressions]

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

    def _call(self, method: Callable[..., Any], request: Any, signature: str) -> Any:
        request.model_spec.name = self._options.model
        request.model_spec.signature_name = signature
        if self._options.version is not None:
            request.model_spec.version.value = self._options.version
        if self._options.label is not None:
            request.model_spec.version_label = self._options.label

        def send(timeout: float) -> Any:
            grpc = self._api.grpc
            try:
                return method(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as problem:
                code, details = problem.code(), " ".join((problem.details() or "").split())
                message = f"the call to {self._options.grpc} failed with {code.name}: {details}"
                if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
                    raise BusyError(message) from None
                raise ClientError(message) from None

        return with_retries(send, self._options.timeout, self._options.retries)


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
    leaf = functools.partial(_text, name) if array.dtype.kind == "O" else _number

    def nested(part: Any) -> Any:
        return [nested(each) for each in part] if getattr(part, "ndim", 0) else leaf(part)

    return nested(array)


def _number(value: Any) -> float:
    """A NumPy float with 6 digits if these suffice, or else with all digits."""
    short = float(f"{value:.6g}")
    digits = {"float16": 5, "float64": 17}.get(str(value.dtype), 9)
    return short if type(value)(short) == value else float(f"{value:.{digits}g}")


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
