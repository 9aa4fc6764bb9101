"""Rows about Predict over gRPC."""

from __future__ import annotations

from conformance.table import Grpc

PREDICT_TESTS, UTIL, UTIL_TESTS, CORE = (
    "predict_impl_test.cc",
    "predict_util.cc",
    "predict_util_test.cc",
    "server_core.cc",
)
CORE_INPUTS = "tensorflow/cc/saved_model/util.cc"


def _input(name: str, tensor: str) -> str:
    return f' inputs {{ key: "{name}" value {{ {tensor} }} }}'


def _answer(model: str, signature: str, version: int, **outputs: str) -> str:
    values = "".join(f' outputs {{ key: "{name}" value {{ {tensor} }} }}' for name, tensor in outputs.items())
    return f'model_spec {{ name: "{model}" version {{ value: {version} }} signature_name: "{signature}" }}{values}'


def _floats(*values: float) -> str:
    return f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: {len(values)} }} }} float_val: {list(values)}"


def _echo(name: str, signature: str, tensor: str, answer: str | None = None, source: str = UTIL) -> Grpc:
    """A row that sends a tensor to a signature of the model echo, and receives it in the fields of its type."""
    request = f'model_spec {{ name: "echo" signature_name: "{signature}" }}' + _input("x", tensor)
    return Grpc(name, "Predict", request, _answer("echo", signature, 1, y=answer or tensor), source=source)


_HALF, _VERSIONS = 'model_spec { name: "half_plus_two" }', 'model_spec { name: "versions" }'
_SCALAR = "dtype: DT_FLOAT tensor_shape { } float_val: 5"
_SIX = _input("x", "dtype: DT_FLOAT float_val: 6")
_LONG = "z" * 2000


def _refused(name: str, request: str, error: str, code: str = "INVALID_ARGUMENT", source: str = UTIL) -> Grpc:
    return Grpc(name, "Predict", request, code=code, error=error, source=source)


def _spec(more: str) -> str:
    return f'model_spec {{ name: "half_plus_two" {more} }}'


ROWS = (
    # Models, versions and signatures.
    Grpc(
        "Predict answers with the version and the signature",
        "Predict",
        _HALF + _SIX,
        _answer("half_plus_two", "serving_default", 123, y=_SCALAR),
        source=PREDICT_TESTS,
    ),
    Grpc(
        "Predict takes a version",
        "Predict",
        _spec("version { value: 123 }") + _SIX,
        _answer("half_plus_two", "serving_default", 123, y=_SCALAR),
        source=PREDICT_TESTS,
    ),
    Grpc(
        "Predict takes the name of a signature",
        "Predict",
        _spec('signature_name: "serving_default"') + _SIX,
        _answer("half_plus_two", "serving_default", 123, y=_SCALAR),
    ),
    Grpc(
        "Predict takes a regression signature of numbers",
        "Predict",
        _spec('signature_name: "regress_x2_to_y3"') + _input("inputs", _floats(4)),
        _answer("half_plus_two", "regress_x2_to_y3", 123, outputs=_floats(5)),
        source=PREDICT_TESTS,
    ),
    Grpc(
        "Predict takes a classification signature of numbers",
        "Predict",
        _spec('signature_name: "classify_x2_to_y3"') + _input("inputs", _floats(4)),
        _answer("half_plus_two", "classify_x2_to_y3", 123, scores=_floats(5)),
        source=PREDICT_TESTS,
    ),
    Grpc(
        "Predict computes a model of TensorFlow 2",
        "Predict",
        'model_spec { name: "half_plus_two_tf2" }' + _SIX,
        _answer("half_plus_two_tf2", "serving_default", 1, y=_SCALAR),
        source="tensorflow_model_server_test.py",
    ),
    Grpc(
        "Predict without a version answers by the newest",
        "Predict",
        _VERSIONS + _input("x", _floats(1)),
        _answer("versions", "serving_default", 3, y=_floats(4)),
        source=CORE,
    ),
    Grpc(
        "Predict answers by an old version",
        "Predict",
        'model_spec { name: "versions" version { value: 1 } }' + _input("x", _floats(1)),
        _answer("versions", "serving_default", 1, y=_floats(2)),
        source=CORE,
    ),
    Grpc(
        "a signature may have no inputs",
        "Predict",
        'model_spec { name: "outputs" signature_name: "constant" }',
        _answer("outputs", "constant", 1, seven="dtype: DT_FLOAT tensor_shape { } float_val: 7"),
        source=PREDICT_TESTS,
    ),
    _refused("Predict needs a model", "", "Missing ModelSpec", source="predict_impl.cc"),
    _refused(
        "Predict needs the name of a model", "model_spec { }" + _SIX, "ModelSpec has no name specified.", source=CORE
    ),
    _refused(
        "an unknown model is NOT_FOUND",
        'model_spec { name: "nobody" }',
        "Servable not found for request: Latest(nobody)",
        "NOT_FOUND",
        PREDICT_TESTS,
    ),
    _refused(
        "an unknown version is NOT_FOUND",
        _spec("version { value: 9 }") + _SIX,
        "Servable not found for request: Specific(half_plus_two, 9)",
        "NOT_FOUND",
        PREDICT_TESTS,
    ),
    _refused(
        "Predict refuses an unknown label",
        _spec('version_label: "nothing"') + _SIX,
        "Unrecognized servable version label: nothing",
        source=CORE,
    ),
    _refused(
        "an unknown signature is FAILED_PRECONDITION",
        _spec('signature_name: "other"') + _SIX,
        'Serving signature key "other" not found.',
        "FAILED_PRECONDITION",
    ),
    _refused(
        "Predict of a model without signatures is FAILED_PRECONDITION",
        'model_spec { name: "unsigned" }' + _SIX,
        'Serving signature key "serving_default" not found.',
        "FAILED_PRECONDITION",
        UTIL_TESTS,
    ),
    # Inputs.
    _refused(
        "Predict needs the inputs",
        _HALF,
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    _refused(
        "Predict refuses more inputs",
        _HALF + _SIX + _input("one", _floats(1)) + _input("two", _floats(1)),
        "3!=1 len({one,two,x}) != len({x}). Sent extra: {one,two}. Missing but required: {}.",
        source=UTIL_TESTS,
    ),
    _refused(
        "Predict says which of several inputs is missing",
        'model_spec { name: "trio" }'
        + _input("signal", _floats(1))
        + _input("tag", 'dtype: DT_STRING string_val: "a"'),
        "Missing but required: {sensor}.",
        source=UTIL_TESTS,
    ),
    _refused(
        "Predict refuses an input of another name",
        _HALF + _input("z", _floats(1)),
        "Signature input alias: x(feed name: x:0) not found in request and no default value provided.",
        source=CORE_INPUTS,
    ),
    _refused(
        "Predict refuses an input of bools where floats belong",
        _HALF + _input("x", "dtype: DT_BOOL bool_val: true"),
        "to be float but bool is provided",
        source=UTIL_TESTS,
    ),
    _refused(
        "Predict refuses an input of strings where floats belong",
        _HALF + _input("x", 'dtype: DT_STRING tensor_shape { dim { size: 1 } } string_val: "a"'),
        "to be float but string is provided",
        source=UTIL_TESTS,
    ),
    _refused(
        "Predict refuses a tensor without a type",
        _HALF + _input("x", "float_val: 6"),
        "tensor parsing error: x",
        source=CORE_INPUTS,
    ),
    _refused(
        "Predict refuses a tensor whose bytes are too few",
        _HALF + _input("x", 'dtype: DT_FLOAT tensor_shape { dim { size: 3 } } tensor_content: "1234"'),
        "tensor parsing error: x",
        source=CORE_INPUTS,
    ),
    _refused(
        "Predict refuses a tensor of unknown size",
        _HALF + _input("x", "dtype: DT_FLOAT tensor_shape { dim { size: -1 } } float_val: 6"),
        "tensor parsing error: x",
        source=CORE_INPUTS,
    ),
    Grpc(
        "a default value of the signature is used",
        "Predict",
        'model_spec { name: "defaults" }' + _input("a", _floats(1)),
        _answer("defaults", "serving_default", 1, sum=_floats(11)),
        source=CORE_INPUTS,
    ),
    Grpc(
        "a default value gives way to the call's",
        "Predict",
        'model_spec { name: "defaults" }' + _input("a", _floats(1)) + _input("b", _floats(4)),
        _answer("defaults", "serving_default", 1, sum=_floats(5)),
        source=CORE_INPUTS,
    ),
    _refused(
        "an unknown input beside default values is refused",
        'model_spec { name: "defaults" }' + _input("a", _floats(1)) + _input("z", _floats(4)),
        "Inputs contains invalid name.",
        source=CORE_INPUTS,
    ),
    _refused(
        "an input without a default value is needed",
        'model_spec { name: "defaults" }' + _input("b", _floats(4)),
        "Signature input alias: a(feed name: a:0) not found in request",
        source=CORE_INPUTS,
    ),
    # Outputs.
    Grpc(
        "the output filter chooses outputs",
        "Predict",
        'model_spec { name: "outputs" signature_name: "uneven" }' + _input("x", _floats(2)) + ' output_filter: "short"',
        _answer("outputs", "uneven", 1, short=_floats(2)),
        source=PREDICT_TESTS,
    ),
    Grpc(
        "without an output filter all outputs come",
        "Predict",
        'model_spec { name: "outputs" signature_name: "uneven" }' + _input("x", _floats(2)),
        _answer("outputs", "uneven", 1, short=_floats(2), long=_floats(2, 0.5)),
    ),
    _refused(
        "an unknown output is refused",
        _HALF + _SIX + ' output_filter: "z"',
        "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        source=UTIL_TESTS,
    ),
    _refused(
        "an output is named once",
        _HALF + _SIX + ' output_filter: ["y", "y"]',
        "duplicate output tensor alias: y",
        source=UTIL_TESTS,
    ),
    _refused(
        "a graph that fails gives its code",
        'model_spec { name: "troubles" }'
        + _input("text", 'dtype: DT_STRING tensor_shape { dim { size: 1 } } string_val: "abc"'),
        "could not correctly convert string: abc",
    ),
    _refused(
        "a message of more than 1,024 characters is cut",
        _HALF + _SIX + f' output_filter: "{_LONG}"',
        "zzzz...TRUNCATED",
        source="grpc_status_util.cc",
    ),
    Grpc(
        "a shape of other sizes than the signature's may be sent",
        "Predict",
        _HALF + _input("x", _floats(6, 8)),
        _answer("half_plus_two", "serving_default", 123, y=_floats(5, 6)),
    ),
    # Tensors.
    _echo(
        "numbers may be sent as bytes",
        "float32",
        r'dtype: DT_FLOAT tensor_shape { dim { size: 2 } } tensor_content: "\000\000\200?\000\000\000@"',
        _floats(1, 2),
    ),
    _echo(
        "the last number stands for those that follow",
        "float32",
        "dtype: DT_FLOAT tensor_shape { dim { size: 3 } } float_val: [1.5, 2.5]",
        _floats(1.5, 2.5, 2.5),
    ),
    _echo(
        "a tensor without numbers is zero", "float32", "dtype: DT_FLOAT tensor_shape { dim { size: 2 } }", _floats(0, 0)
    ),
    _echo(
        "a tensor may have no elements", "float32", "dtype: DT_FLOAT tensor_shape { dim { size: 0 } dim { size: 2 } }"
    ),
    _echo(
        "a tensor may have 20,000 rows",
        "int32",
        "dtype: DT_INT32 tensor_shape { dim { size: 20000 } } int_val: 7",
        f"dtype: DT_INT32 tensor_shape {{ dim {{ size: 20000 }} }} int_val: {[7] * 20_000}",
    ),
    _echo(
        "a tensor may have several dimensions",
        "int32",
        "dtype: DT_INT32 tensor_shape { dim { size: 1 } dim { size: 2 } } int_val: [1, -2]",
    ),
    _echo("doubles come as double_val", "float64", "dtype: DT_DOUBLE tensor_shape { dim { size: 1 } } double_val: 0.1"),
    _echo("int8 comes as int_val", "int8", "dtype: DT_INT8 tensor_shape { dim { size: 2 } } int_val: [-128, 127]"),
    _echo("uint8 comes as int_val", "uint8", "dtype: DT_UINT8 tensor_shape { dim { size: 2 } } int_val: [0, 255]"),
    _echo("int16 comes as int_val", "int16", "dtype: DT_INT16 tensor_shape { dim { size: 1 } } int_val: -32768"),
    _echo("uint16 comes as int_val", "uint16", "dtype: DT_UINT16 tensor_shape { dim { size: 1 } } int_val: 65535"),
    _echo(
        "int64 comes as int64_val",
        "int64",
        "dtype: DT_INT64 tensor_shape { dim { size: 1 } } int64_val: -9223372036854775808",
    ),
    _echo(
        "uint32 comes as uint32_val",
        "uint32",
        "dtype: DT_UINT32 tensor_shape { dim { size: 1 } } uint32_val: 4294967295",
    ),
    _echo(
        "uint64 comes as uint64_val",
        "uint64",
        "dtype: DT_UINT64 tensor_shape { dim { size: 1 } } uint64_val: 18446744073709551615",
    ),
    _echo("bools come as bool_val", "bool", "dtype: DT_BOOL tensor_shape { dim { size: 2 } } bool_val: [true, false]"),
    _echo(
        "strings come as bytes",
        "string",
        r'dtype: DT_STRING tensor_shape { dim { size: 3 } } string_val: ["", "hi", "\377\000"]',
    ),
    _echo(
        "float16 comes as half_val",
        "float16",
        "dtype: DT_HALF tensor_shape { dim { size: 2 } } half_val: [15360, 16384]",
    ),
    _echo(
        "bfloat16 comes as half_val", "bfloat16", "dtype: DT_BFLOAT16 tensor_shape { dim { size: 1 } } half_val: 16256"
    ),
    _echo(
        "complex64 comes as scomplex_val",
        "complex64",
        "dtype: DT_COMPLEX64 tensor_shape { dim { size: 1 } } scomplex_val: [1.5, -2]",
    ),
)

# These rows need the label "stable" at version 1.
LABEL_ROWS = (
    Grpc(
        "Predict takes a label",
        "Predict",
        'model_spec { name: "versions" version_label: "stable" }' + _input("x", _floats(1)),
        _answer("versions", "serving_default", 1, y=_floats(2)),
        source=CORE,
    ),
    _refused(
        "Predict refuses another model's label",
        _spec('version_label: "stable"') + _SIX,
        "Unrecognized servable version label: stable",
        source=CORE,
    ),
)
