"""Requests that a version answers before clients can reach it.

The first calls of a graph take much longer than later ones. TensorFlow Serving therefore answers the requests in
`assets.extra/tf_serving_warmup_requests` first (https://www.tensorflow.org/tfx/serving/saved_model_warmup).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kbert.serving import examples, predicting
from kbert.serving.request_error import RequestError
from kbert.serving.served_models.served_model import ServedModel
from kbert.serving.signature_names import CLASSIFY_METHOD, EXAMPLES, REGRESS_METHOD
from kbert.serving.tensor_protos import array_of

PATH = "assets.extra/tf_serving_warmup_requests"
_MOST_RECORDS = 1000
_TEXT = b"warm-up"
_METHODS = {"classify_log": CLASSIFY_METHOD, "regress_log": REGRESS_METHOD}
"""The methods that answer tf.Examples, by the kind of their logs."""


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """What is known of the warm-up of a version."""

    seconds: float = 0.0
    records: int = 0
    """The number of requests in the file of the model."""


def warm_up(model: ServedModel, folder: Path | None) -> WarmUp:
    """Lets a model answer the warm-up requests of its folder, or a made-up request for each signature.

    Args:
        model: The model.
        folder: The folder of the version; None if its requests are not for this form of the model.

    Raises:
        RequestError: The file is damaged or has too many requests, or the model cannot answer one of them.
    """
    start = time.monotonic()
    path = None if folder is None else folder / PATH
    records = 0
    if path is not None and path.is_file():
        for record in _records(path):
            records += 1
            if records > _MOST_RECORDS:
                raise RequestError(
                    "INVALID_ARGUMENT", f"Number of warmup records exceeds the maximum ({_MOST_RECORDS}) at {path}"
                )
            _answer(model, record)
    else:
        _answer_made_up(model)
    return WarmUp(time.monotonic() - start, records)


def _records(path: Path) -> Iterator[Any]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield PredictionLog.FromString(record)
    except (tf.errors.OpError, DecodeError) as problem:
        raise RequestError(
            "DATA_LOSS",
            f"Failed to read warmup records from {path}: {' '.join(str(problem).split()):.200}. Please verify your "
            "warmup data is in TFRecord format.",
        ) from None


def _answer(model: ServedModel, log: Any) -> None:
    """Answers one request. The name and the version in it are not looked at; logs of other kinds are skipped."""
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        name, signature = predicting.find_signature(model.signatures, request.model_spec.signature_name)
        given = {key: array_of(key, proto) for key, proto in request.inputs.items()}
        outputs = predicting.wanted_outputs(signature, list(request.output_filter))
        model.run(name, predicting.complete_inputs(signature, given), outputs)
    elif kind in _METHODS:
        request = getattr(log, kind).request
        name, signature = examples.find_examples_signature(model.signatures, request.model_spec.signature_name)
        outputs = examples.OUTPUTS_OF_METHOD[_METHODS[kind]](signature)
        model.run(name, {EXAMPLES: examples.serialized_examples(request.input)}, outputs)


def _answer_made_up(model: ServedModel) -> None:
    """Sends one row to each signature. What the graph says about its values does not matter: a client knows better."""
    for name, signature in model.signatures.items():
        if not signature.inputs or any(not info.name for info in signature.inputs.values()):
            continue
        try:
            model.run(name, {key: _made_up(info) for key, info in signature.inputs.items()})
        except RequestError as problem:
            if problem.code == "FAILED_PRECONDITION":
                raise  # variables without values


def _made_up(info: Any) -> np.ndarray:
    import tensorflow as tf

    shape = [1 if dimension.size < 0 else dimension.size for dimension in info.tensor_shape.dim]
    dtype = tf.dtypes.as_dtype(info.dtype)
    if dtype == tf.string:
        return np.full(shape, _TEXT, dtype=object)
    return np.zeros(shape, dtype=dtype.as_numpy_dtype)
