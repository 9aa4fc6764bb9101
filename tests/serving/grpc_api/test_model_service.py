import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"length": tf.strings.length(text)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    tf.saved_model.save(Model(), str(base / "m" / "3"))
    return base


def failed(call, request, code, message):
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=20)
    assert (raised.value.code().name, raised.value.details()) == (code, message)


def test_status_and_reload(folder, tmp_path):
    options = ServeOptions(grpc_port=0, rest=False)
    with running_server(folder, options=options) as server, grpc.insecure_channel(server.grpc_address) as channel:
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "m"
        (status,) = models.GetModelStatus(request).model_version_status
        assert (status.version, status.state, status.status.error_code) == (3, 30, 0)
        reload = model_management_pb2.ReloadConfigRequest()
        failed(
            models.HandleReloadConfigRequest,
            reload,
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported",
        )
        config = reload.config.model_config_list.config.add(name="renamed", base_path=str(folder / "m"))
        config.model_platform = "tensorflow"
        config.version_labels["stable"] = 3
        models.HandleReloadConfigRequest(reload)
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.inputs["text"].CopyFrom(tf.make_tensor_proto(["abc"]))
        request.model_spec.name = "m"
        failed(predictions.Predict, request, "NOT_FOUND", "Servable not found for request: Latest(m)")
        request.model_spec.name, request.model_spec.version_label = "renamed", "stable"
        assert list(predictions.Predict(request).outputs["length"].int_val) == [3]
        config.base_path = "relative"
        message = "Expected model renamed to have an absolute path or URI; got base_path()=relative"
        failed(models.HandleReloadConfigRequest, reload, "INVALID_ARGUMENT", message)
