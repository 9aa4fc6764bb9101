import json

import pytest
from conformance.client import call, request
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

MODELS = ("defaults", "echo", "examples", "half_plus_two", "half_plus_two_tf2", "outputs", "trio", "unsigned")


@pytest.fixture(params=MODELS)
def signed(request, models):
    """A model's name, its version, and the signatures in its file."""
    (version,) = (models / request.param).iterdir()
    stored = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    return request.param, int(version.name), stored.meta_graphs[0].signature_def


def test_metadata_is_the_signatures_of_the_file_over_rest(server, signed):
    # http_rest_api_util.cc writes SignatureDefMap with all fields and their names in the protocol buffer.
    name, version, signatures = signed
    expected = get_model_metadata_pb2.SignatureDefMap()
    for key, signature in signatures.items():
        expected.signature_def[key].CopyFrom(signature)
    answer = json.loads(request(server, "GET", f"/v1/models/{name}/metadata").body)
    assert answer == {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {
            "signature_def": json_format.MessageToDict(
                expected, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        },
    }


def test_metadata_is_the_signatures_of_the_file_over_grpc(server, signed):
    # get_model_metadata_impl.cc packs them into an Any.
    name, version, signatures = signed
    response = call(server, "GetModelMetadata", f'model_spec {{ name: "{name}" }} metadata_field: "signature_def"')
    assert (response.model_spec.name, response.model_spec.version.value) == (name, version)
    assert response.model_spec.signature_name == ""
    assert list(response.metadata) == ["signature_def"]
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    assert dict(found.signature_def) == dict(signatures)


def test_metadata_takes_versions_and_labels_over_grpc(labelled):
    field = 'metadata_field: "signature_def"'
    versions = [
        call(
            labelled, "GetModelMetadata", f'model_spec {{ name: "versions" {choice} }} {field}'
        ).model_spec.version.value
        for choice in ("", "version { value: 2 }", 'version_label: "stable"')
    ]
    assert versions == [3, 2, 1]
