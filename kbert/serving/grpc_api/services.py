"""The services of TensorFlow Serving's gRPC API."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceServicer
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer

from kbert.errors import ServingError
from kbert.serving import examples
from kbert.serving.model_server import ModelServer, Record, Target, result_of, signature_defs, timed_out
from kbert.serving.predicting import complete_inputs, find_signature, wanted_outputs
from kbert.serving.request_error import RequestError, invalid
from kbert.serving.served_models.model_config import model_configs
from kbert.serving.served_models.served_version import ServedVersion
from kbert.serving.signature_names import CLASSIFY_METHOD, DEFAULT_SIGNATURE, EXAMPLES, REGRESS_METHOD
from kbert.serving.tensor_protos import array_dtype, array_of, dtype_name, proto_of

_LOGGER = logging.getLogger("kbert.serving")
# TensorFlow Serving cuts messages, since gRPC sends them in a header.
_LONGEST_MESSAGE = 1024
_METADATA_FIELD = "signature_def"


class PredictionService(PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata.

    Args:
        server: Answers the requests.
    """

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def Predict(self, request: Any, context: Any) -> Any:
        """Answers with the outputs of a signature."""
        with _answered(self._server, context, "Predict") as record:
            target = _target(request, record)
            with self._server.use(target) as served:
                name, signature = find_signature(served.signatures, request.model_spec.signature_name)
                outputs = wanted_outputs(signature, list(request.output_filter))
                given = {key: array_of(key, proto) for key, proto in request.inputs.items()}
                inputs = complete_inputs(signature, given)
                _check_dtypes(signature, inputs)
                arrays = self._run(served, name, inputs, outputs, record, context)
            response = predict_pb2.PredictResponse()
            for key in outputs:
                response.outputs[key].CopyFrom(proto_of(arrays[key]))
            _fill_spec(response.model_spec, served, name)
            return response

    def Classify(self, request: Any, context: Any) -> Any:
        """Answers with the classes of each example."""
        with _answered(self._server, context, "Classify") as record:
            with self._server.use(_target(request, record)) as served:
                name, signature = examples.find_examples_signature(served.signatures, request.model_spec.signature_name)
                outputs = examples.classification_outputs(signature)
                serialized = examples.serialized_examples(request.input)
                arrays = self._run(served, name, {EXAMPLES: serialized}, outputs, record, context, "Classify")
            response = classification_pb2.ClassificationResponse()
            _fill_classes(response.result, examples.classes_of(arrays, len(serialized)))
            _fill_spec(response.model_spec, served, name)
            return response

    def Regress(self, request: Any, context: Any) -> Any:
        """Answers with the value of each example."""
        with _answered(self._server, context, "Regress") as record:
            with self._server.use(_target(request, record)) as served:
                name, signature = examples.find_examples_signature(served.signatures, request.model_spec.signature_name)
                outputs = examples.regression_outputs(signature)
                serialized = examples.serialized_examples(request.input)
                arrays = self._run(served, name, {EXAMPLES: serialized}, outputs, record, context, "Regress")
            response = regression_pb2.RegressionResponse()
            _fill_values(response.result, examples.values_of(arrays, len(serialized)))
            _fill_spec(response.model_spec, served, name)
            return response

    def MultiInference(self, request: Any, context: Any) -> Any:
        """Answers several classifications and regressions of the same examples by one model."""
        with _answered(self._server, context, "MultiInference") as record:
            if not request.tasks:
                raise invalid("ModelSpec has no name specified.")
            examples.check_same_model([task.model_spec.name for task in request.tasks])
            target = _target(request.tasks[0], record)
            serialized = examples.serialized_examples(request.input)
            response = inference_pb2.MultiInferenceResponse()
            with self._server.use(target) as served:
                tasks = _inference_tasks(request.tasks, served)
                for task, name, outputs in tasks:
                    arrays = self._run(served, name, {EXAMPLES: serialized}, outputs, record, context, "MultiInference")
                    result = response.results.add()
                    if task.method_name == CLASSIFY_METHOD:
                        _fill_classes(result.classification_result, examples.classes_of(arrays, len(serialized)))
                    else:
                        _fill_values(result.regression_result, examples.values_of(arrays, len(serialized)))
                    _fill_spec(result.model_spec, served, name)
            return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """Answers with the signatures of a model."""
        with _answered(self._server, context, "GetModelMetadata") as record:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != _METADATA_FIELD:
                    raise invalid(f"Metadata field {field:.60} is not supported")
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            with self._server.use(_target(request, record)) as served:
                response.metadata[_METADATA_FIELD].Pack(signature_defs(served))
                _fill_spec(response.model_spec, served, "")
            return response

    def _run(
        self,
        served: ServedVersion,
        signature_name: str,
        inputs: dict[str, np.ndarray],
        outputs: tuple[str, ...],
        record: Record,
        context: Any,
        api: str = "Predict",
    ) -> dict[str, np.ndarray]:
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            raise timed_out()
        limits = [each for each in (remaining, self._server.limits.seconds) if each]
        future = self._server.submit(served, signature_name, inputs, outputs, record, api)
        # A client that is gone needs no answer.
        context.add_callback(future.cancel)
        return result_of(future, min(limits) if limits else None)


class ModelService(ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        server: Answers the requests.
    """

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """Answers with the states of a model's versions. As in TensorFlow Serving, a label is ignored."""
        with _answered(self._server, context, "GetModelStatus") as record:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            spec = request.model_spec
            record.model = spec.name
            version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
            response = get_model_status_pb2.GetModelStatusResponse()
            states = get_model_status_pb2.ModelVersionStatus.State
            for status in self._server.models.status(spec.name, version):
                entry = response.model_version_status.add(version=status.version, state=states.Value(status.state))
                entry.status.error_code = _code_number(status.error_code)
                entry.status.error_message = status.error_message
            return response

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        """Replaces the models that the server serves, and answers when they are loaded."""
        before = {name: self._server.metrics.counter_total(name) for name in request.metric_names}
        with _answered(self._server, context, "HandleReloadConfigRequest"):
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
                    "currently supported"
                )
            try:
                configs = model_configs(request.config)
            except ServingError as problem:
                raise invalid(str(problem)) from None
            self._server.models.reconfigure(configs)
            response = model_management_pb2.ReloadConfigResponse()
            for name, value in before.items():
                response.metric.add(name=name, int64_value_increase=self._server.metrics.counter_total(name) - value)
            return response


@contextlib.contextmanager
def _answered(server: ModelServer, context: Any, method: str) -> Iterator[Record]:
    """Records a call, and ends it with the status of the exception that the block raises."""
    code, message = "", ""
    try:
        with server.recorded("GRPC", method) as record:
            yield record
    except RequestError as problem:
        code, message = problem.code, str(problem)
    except concurrent.futures.CancelledError:
        code, message = "CANCELLED", "the client cancelled the call"
    except Exception as problem:
        _LOGGER.exception("%s failed", method)
        code, message = "INTERNAL", f"internal error: {type(problem).__name__}; the server's log says more"
    if code:
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "...TRUNCATED"
        context.abort(getattr(grpc.StatusCode, code), message)


def _target(request: Any, record: Record) -> Target:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    record.model = spec.name
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    return Target(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def _inference_tasks(tasks: Any, served: ServedVersion) -> list[tuple[Any, str, tuple[str, ...]]]:
    """Returns each task with its signature and outputs.

    Raises:
        RequestError: A signature is missing, repeated or unfit for its method.
    """
    checked: list[tuple[Any, str, tuple[str, ...]]] = []
    for task in tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if any(name == other for _, other, _ in checked):
            raise invalid(f"Duplicate evaluation of signature: {name}")
        if name not in served.signatures:
            raise invalid(f"Requested signature not found in model graph: {name:.60}")
        signature = served.signatures[name]
        if task.method_name == CLASSIFY_METHOD:
            outputs = examples.classification_outputs(signature)
        elif task.method_name == REGRESS_METHOD:
            outputs = examples.regression_outputs(signature)
        else:
            raise RequestError("UNIMPLEMENTED", f"Unsupported signature method_name: {task.method_name:.60}")
        checked.append((task, name, outputs))
    return checked


def _check_dtypes(signature: Any, inputs: dict[str, np.ndarray]) -> None:
    import tensorflow as tf

    for name, array in inputs.items():
        info = signature.inputs[name]
        expected, received = tf.dtypes.as_dtype(info.dtype), array_dtype(array)
        if received != expected:
            raise invalid(
                f"Expects arg[{sorted(inputs).index(name)}] ({name}, {info.name}) to be {_type(expected)} but "
                f"{_type(received)} is provided"
            )


def _type(dtype: Any) -> str:
    return dtype_name(dtype.as_datatype_enum).removeprefix("DT_").lower()


def _fill_spec(spec: Any, served: ServedVersion, signature_name: str) -> None:
    spec.name = served.name
    spec.version.value = served.version
    spec.signature_name = signature_name


def _fill_classes(result: Any, classes: examples.Classes) -> None:
    for row in classes.rows():
        classification = result.classifications.add()
        for label, score in row:
            # A protocol buffer has text here, whereas a model may give any bytes.
            classification.classes.add(label=label.decode("utf-8", "replace"), score=score)


def _fill_values(result: Any, values: np.ndarray) -> None:
    for value in values.tolist():
        result.regressions.add(value=value)


def _code_number(name: str) -> int:
    from tensorflow.core.protobuf import error_codes_pb2

    return int(error_codes_pb2.Code.Value(name))
