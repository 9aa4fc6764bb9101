"""Rows about GetModelMetadata, GetModelStatus and the refusals of HandleReloadConfigRequest over gRPC."""

from __future__ import annotations

from conformance.table import Grpc

METADATA, METADATA_TESTS = "get_model_metadata_impl.cc", "get_model_metadata_impl_test.cc"
STATUS, STATUS_TESTS, SERVICE, CORE = (
    "get_model_status_impl.cc",
    "get_model_status_impl_test.cc",
    "model_service_impl.cc",
    "server_core.cc",
)
_FIELD = ' metadata_field: "signature_def"'
_HALF = 'name: "half_plus_two" base_path: "/MODELS/half_plus_two"'
_OLD_TYPE = "ModelServerConfig::model_type (deprecated)"


def _refused(method: str, name: str, request: str, error: str, source: str, code: str = "INVALID_ARGUMENT") -> Grpc:
    return Grpc(name, method, request, code=code, error=error, source=source)


def _status(name: str, request: str, *versions: int, source: str = STATUS) -> Grpc:
    answer = "".join(
        f" model_version_status {{ version: {number} state: AVAILABLE status {{ }} }}" for number in versions
    )
    return Grpc(name, "GetModelStatus", f"model_spec {{ {request} }}", answer, source=source)


def _reload(*configs: str) -> str:
    return f"config {{ model_config_list {{ {' '.join(f'config {{ {config} }}' for config in configs)} }} }}"


def _bad_reload(name: str, request: str, error: str, code: str = "INVALID_ARGUMENT", source: str = CORE) -> Grpc:
    return Grpc(name, "HandleReloadConfigRequest", request, code=code, error=error, source=source)


ROWS = (
    # GetModelMetadata; test_metadata.py compares the answers.
    _refused(
        "GetModelMetadata",
        "GetModelMetadata needs a field",
        'model_spec { name: "echo" }',
        "GetModelMetadataRequest must specify at least one metadata_field",
        METADATA_TESTS,
    ),
    _refused(
        "GetModelMetadata",
        "GetModelMetadata refuses an unknown field",
        'model_spec { name: "echo" } metadata_field: "weights"',
        "Metadata field weights is not supported",
        METADATA_TESTS,
    ),
    _refused(
        "GetModelMetadata",
        "GetModelMetadata refuses an unknown field beside a known one",
        'model_spec { name: "echo" } metadata_field: ["signature_def", "weights"]',
        "Metadata field weights is not supported",
        METADATA,
    ),
    _refused(
        "GetModelMetadata",
        "GetModelMetadata needs a model",
        'metadata_field: "signature_def"',
        "Missing ModelSpec",
        METADATA_TESTS,
    ),
    _refused(
        "GetModelMetadata",
        "GetModelMetadata needs the name of a model",
        "model_spec { }" + _FIELD,
        "ModelSpec has no name specified.",
        METADATA_TESTS,
    ),
    _refused(
        "GetModelMetadata",
        "the metadata of an unknown model is NOT_FOUND",
        'model_spec { name: "nobody" }' + _FIELD,
        "Servable not found for request: Latest(nobody)",
        METADATA_TESTS,
        "NOT_FOUND",
    ),
    _refused(
        "GetModelMetadata",
        "the metadata of an unknown version is NOT_FOUND",
        'model_spec { name: "echo" version { value: 9 } }' + _FIELD,
        "Servable not found for request: Specific(echo, 9)",
        METADATA,
        "NOT_FOUND",
    ),
    _refused(
        "GetModelMetadata",
        "GetModelMetadata refuses an unknown label",
        'model_spec { name: "echo" version_label: "nothing" }' + _FIELD,
        "Unrecognized servable version label: nothing",
        CORE,
    ),
    # GetModelStatus.
    _status(
        "GetModelStatus answers with the version",
        'name: "half_plus_two"',
        123,
        source="tensorflow_model_server_test.py",
    ),
    _status("GetModelStatus lists versions from the largest down", 'name: "versions"', 3, 2, 1, source=STATUS_TESTS),
    _status("GetModelStatus takes a version", 'name: "versions" version { value: 2 }', 2, source=STATUS_TESTS),
    _status("GetModelStatus does not look at a label", 'name: "versions" version_label: "nothing"', 3, 2, 1),
    _status("GetModelStatus does not look at a signature", 'name: "half_plus_two" signature_name: "other"', 123),
    _refused("GetModelStatus", "GetModelStatus needs a model", "", "Missing ModelSpec", STATUS_TESTS),
    _refused(
        "GetModelStatus",
        "a model without a name has no status",
        "model_spec { }",
        "Could not find any versions of model ",
        STATUS,
        "NOT_FOUND",
    ),
    _refused(
        "GetModelStatus",
        "GetModelStatus of an unknown model is NOT_FOUND",
        'model_spec { name: "nobody" }',
        "Could not find any versions of model nobody",
        STATUS_TESTS,
        "NOT_FOUND",
    ),
    _refused(
        "GetModelStatus",
        "GetModelStatus of an unknown version is NOT_FOUND",
        'model_spec { name: "versions" version { value: 9 } }',
        "Could not find version 9 of model versions",
        STATUS_TESTS,
        "NOT_FOUND",
    ),
)

# These rows are refused by a server whose only model is "half_plus_two" in /MODELS, and change nothing.
RELOAD_ROWS = (
    _bad_reload(
        "a configuration needs a list of models",
        "config { }",
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently",
        source=SERVICE,
    ),
    _bad_reload(
        "a custom configuration is refused",
        "config { custom_model_config { } }",
        "Only ModelConfigList is currently supported",
        source=SERVICE,
    ),
    _bad_reload(
        "a model is listed once",
        _reload(
            'name: "m" base_path: "/MODELS/m" model_platform: "tensorflow"',
            'name: "m" base_path: "/MODELS/n" model_platform: "tensorflow"',
        ),
        "Illegal to list model m multiple times in config list",
        source="server_core_test.cc",
    ),
    _bad_reload(
        "a base path is absolute",
        _reload('name: "m" base_path: "models/m" model_platform: "tensorflow"'),
        "Expected model m to have an absolute path or URI; got base_path()=models/m",
        source="server_core_test.cc",
    ),
    _bad_reload(
        "a model has a platform",
        _reload(_HALF),
        f"Illegal setting neither {_OLD_TYPE} nor ModelServerConfig::model_platform, model name is half_plus_two",
    ),
    _bad_reload(
        "a model has one platform",
        _reload(_HALF + ' model_platform: "tensorflow" model_type: TENSORFLOW'),
        f"Illegal setting both {_OLD_TYPE} and ModelServerConfig::model_platform, model name is half_plus_two",
        source="server_core_test.cc",
    ),
    _bad_reload(
        "a model keeps its platform",
        _reload(_HALF + ' model_platform: "other"'),
        "Illegal to change a model's platform. For model half_plus_two platform was tensorflow and new platform",
        source="server_core_test.cc",
    ),
)
# This row needs a server of its own, which may keep the rest of the configuration.
LABEL_RELOAD_ROW = _bad_reload(
    "a label is for a version that is available",
    _reload(_HALF + ' model_platform: "tensorflow" version_labels { key: "canary" value: 9 }'),
    "Request to assign label to version 9 of model half_plus_two, which is not currently available for inference",
    "FAILED_PRECONDITION",
    "server_core_test.cc",
)
