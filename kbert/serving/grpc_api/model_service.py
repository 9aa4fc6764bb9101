"""TensorFlow Serving's service for the states of models, and for other models."""

from __future__ import annotations

from typing import Any

from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceServicer

from kbert.errors import ServingError
from kbert.serving.grpc_api.calls import answered
from kbert.serving.model_server import ModelServer
from kbert.serving.request_error import invalid
from kbert.serving.served_models.model_config import model_configs


class ModelService(ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        server: Answers the requests.
    """

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """Answers with the states of a model's versions. As in TensorFlow Serving, a label is ignored."""
        with answered(self._server, context, "GetModelStatus") as record:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            spec = request.model_spec
            record.model = spec.name
            version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
            response = get_model_status_pb2.GetModelStatusResponse()
            states = get_model_status_pb2.ModelVersionStatus.State
            for status in self._server.models.status(spec.name, version):
                entry = response.model_version_status.add(version=status.version, state=states.Value(status.state))
                entry.status.error_code = error_codes_pb2.Code.Value(status.error_code)
                entry.status.error_message = status.error_message
            return response

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        """Replaces the models that the server serves, and answers when they are loaded."""
        before = {name: self._server.metrics.counter_total(name) for name in request.metric_names}
        with answered(self._server, context, "HandleReloadConfigRequest"):
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
