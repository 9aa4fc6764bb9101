"""TensorFlow Serving's service for predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer

from kbert.serving import examples
from kbert.serving.grpc_api.calls import answered, model_of
from kbert.serving.model_server import ModelServer, Record, result_of, signature_defs, timed_out
from kbert.serving.predicting import complete_inputs, find_signature, wanted_outputs
from kbert.serving.request_error import RequestError, invalid
from kbert.serving.served_models.served_version import ServedVersion
from kbert.serving.signature_names import CLASSIFY_METHOD, DEFAULT_SIGNATURE, EXAMPLES, REGRESS_METHOD
from kbert.serving.tensor_protos import array_dtype, array_of, dtype_name, proto_of

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
        with answered(self._server, context, "Predict") as record:
            target = model_of(request, record)
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
        return self._infer(request, classification_pb2.ClassificationResponse(), context, "Classify", CLASSIFY_METHOD)

    def Regress(self, request: Any, context: Any) -> Any:
        """Answers with the value of each example."""
        return self._infer(request, regression_pb2.RegressionResponse(), context, "Regress", REGRESS_METHOD)

    def MultiInference(self, request: Any, context: Any) -> Any:
        """Answers several classifications and regressions of the same examples by one model."""
        with answered(self._server, context, "MultiInference") as record:
            if not request.tasks or not request.tasks[0].model_spec.name:
                raise invalid("ModelSpec has no name specified.")
            response = inference_pb2.MultiInferenceResponse()
            with self._server.use(model_of(request.tasks[0], record)) as served:
                tasks = _inference_tasks(request.tasks, served)
                serialized = examples.serialized_examples(request.input)
                for method_name, name, outputs in tasks:
                    arrays = self._run(served, name, {EXAMPLES: serialized}, outputs, record, context, "MultiInference")
                    result = response.results.add()
                    field = "classification_result" if method_name == CLASSIFY_METHOD else "regression_result"
                    _fill_result(getattr(result, field), method_name, arrays, len(serialized))
                    _fill_spec(result.model_spec, served, name)
            return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """Answers with the signatures of a model."""
        with answered(self._server, context, "GetModelMetadata") as record:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != _METADATA_FIELD:
                    raise invalid(f"Metadata field {field:.60} is not supported")
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            with self._server.use(model_of(request, record)) as served:
                response.metadata[_METADATA_FIELD].Pack(signature_defs(served))
                _fill_spec(response.model_spec, served, "")
            return response

    def _infer(self, request: Any, response: Any, context: Any, api: str, method_name: str) -> Any:
        """Fills the response to Classify or Regress."""
        with answered(self._server, context, api) as record:
            with self._server.use(model_of(request, record)) as served:
                name, signature = examples.find_examples_signature(served.signatures, request.model_spec.signature_name)
                outputs = examples.OUTPUTS_OF_METHOD[method_name](signature)
                serialized = examples.serialized_examples(request.input)
                arrays = self._run(served, name, {EXAMPLES: serialized}, outputs, record, context, api)
            _fill_result(response.result, method_name, arrays, len(serialized))
            _fill_spec(response.model_spec, served, name)
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


def _inference_tasks(tasks: Any, served: ServedVersion) -> list[tuple[str, str, tuple[str, ...]]]:
    """Returns the method, the signature and the outputs of each task.

    Raises:
        RequestError: The tasks name several models, or a signature is missing, repeated or unfit for its method.
    """
    checked: list[tuple[str, str, tuple[str, ...]]] = []
    for place, task in enumerate(tasks, start=1):
        examples.check_same_model([each.model_spec.name for each in tasks[:place]])
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if any(name == other for _, other, _ in checked):
            raise invalid(f"Duplicate evaluation of signature: {name}")
        if name not in served.signatures:
            raise invalid(f"Requested signature not found in model graph: {name:.60}")
        choose = examples.OUTPUTS_OF_METHOD.get(task.method_name)
        if choose is None:
            raise RequestError("UNIMPLEMENTED", f"Unsupported signature method_name: {task.method_name:.60}")
        checked.append((task.method_name, name, choose(served.signatures[name])))
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


def _fill_result(result: Any, method_name: str, arrays: examples.Outputs, count: int) -> None:
    """Fills a ClassificationResult or a RegressionResult with the outputs for `count` examples."""
    if method_name == REGRESS_METHOD:
        for value in examples.values_of(arrays, count).tolist():
            result.regressions.add(value=value)
        return
    for row in examples.classes_of(arrays, count).rows():
        classification = result.classifications.add()
        for label, score in row:
            # A protocol buffer has text here, whereas a model may give any bytes.
            classification.classes.add(label=label.decode("utf-8", "replace"), score=score)
