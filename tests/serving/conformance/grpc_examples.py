"""Rows about Classify, Regress and MultiInference over gRPC."""

from __future__ import annotations

from conformance.table import Grpc

CLASSIFIER, CLASSIFIER_TESTS, REGRESSOR, REGRESSOR_TESTS = (
    "classifier.cc",
    "classifier_test.cc",
    "regressor.cc",
    "regressor_test.cc",
)
MULTI, MULTI_TESTS, UTIL, CORE = "multi_inference.cc", "multi_inference_test.cc", "util.cc", "server_core.cc"
CLASSIFY_METHOD, REGRESS_METHOD = "tensorflow/serving/classify", "tensorflow/serving/regress"


def _spec(model: str, signature: str = "", version: int | None = None) -> str:
    number = "" if version is None else f" version {{ value: {version} }}"
    return f'model_spec {{ name: "{model}"{number} signature_name: "{signature}" }}'


def _feature(name: str, values: str) -> str:
    return f'feature {{ key: "{name}" value {{ {values} }} }}'


def _example(*features: str) -> str:
    return f"{{ features {{ {' '.join(features)} }} }}"


def _list(*examples: str) -> str:
    return f" input {{ example_list {{ {' '.join(f'examples {example}' for example in examples)} }} }}"


def _task(signature: str, method: str, model: str = "half_plus_two") -> str:
    return f' tasks {{ {_spec(model, signature)} method_name: "{method}" }}'


_SIX, _EIGHT = (_example(_feature("x", f"float_list {{ value: {x} }}")) for x in (6, 8))
_RATED = _example(
    _feature("names", 'bytes_list { value: ["a", "b"] }'), _feature("ratings", "float_list { value: [0.5, 2] }")
)
_QUERY = _feature("query", 'bytes_list { value: "cats" }')
_CONTEXT = f" input {{ example_list_with_context {{ context {_example(_QUERY)} examples {{ }} examples {_RATED} }} }}"
_EMPTY_CONTEXT = f" input {{ example_list_with_context {{ context {_SIX} }} }}"
_A_B = 'classes { label: "a" score: 0.5 } classes { label: "b" score: 2 }'
_CATS = 'classifications { classes { label: "cats" } }'


def _classified(spec: str, *classes: str) -> str:
    return spec + f" result {{ {' '.join(f'classifications {{ {each} }}' for each in classes)} }}"


def _regressed(spec: str, *values: float) -> str:
    return spec + f" result {{ {' '.join(f'regressions {{ value: {value} }}' for value in values)} }}"


def _result(signature: str, result: str, model: str = "half_plus_two", version: int = 123) -> str:
    return f" results {{ {_spec(model, signature, version)} {result} }}"


def _refused(method: str, name: str, request: str, error: str, source: str, code: str = "INVALID_ARGUMENT") -> Grpc:
    return Grpc(name, method, request, code=code, error=error, source=source)


_C_TO_Y, _R_TO_Y = _spec("half_plus_two", "classify_x_to_y"), _spec("half_plus_two", "regress_x_to_y")
_REGRESSED_5, _REGRESSED_6 = (f"regression_result {{ regressions {{ value: {value} }} }}" for value in (5, 6))
_CLASSIFIED_5 = "classification_result { classifications { classes { score: 5 } } }"

ROWS = (
    # Classify.
    Grpc(
        "Classify answers with scores",
        "Classify",
        _C_TO_Y + _list(_SIX, _EIGHT),
        _classified(_spec("half_plus_two", "classify_x_to_y", 123), "classes { score: 5 }", "classes { score: 6 }"),
        source="tensorflow_model_server_test.py",
    ),
    Grpc(
        "Classify computes a model of TensorFlow 2",
        "Classify",
        _spec("half_plus_two_tf2", "classify_x_to_y") + _list(_SIX),
        _classified(_spec("half_plus_two_tf2", "classify_x_to_y", 1), "classes { score: 5 }"),
        source="tensorflow_model_server_test.py",
    ),
    Grpc(
        "Classify answers with labels and scores",
        "Classify",
        _spec("examples") + _list(_RATED),
        _classified(_spec("examples", "serving_default", 1), _A_B),
        source=CLASSIFIER_TESTS,
    ),
    Grpc(
        "Classify puts the context before each example",
        "Classify",
        _spec("examples", "query") + _CONTEXT,
        _spec("examples", "query", 1) + f" result {{ {_CATS} {_CATS} }}",
        source=CLASSIFIER_TESTS,
    ),
    _refused("Classify", "Classify needs a model", _list(_SIX), "Missing ModelSpec", "classification_service.cc"),
    _refused(
        "Classify",
        "Classify needs the name of a model",
        "model_spec { }" + _list(_SIX),
        "ModelSpec has no name specified.",
        CORE,
    ),
    _refused(
        "Classify",
        "Classify by an unknown model is NOT_FOUND",
        _spec("nobody") + _list(_SIX),
        "Servable not found for request: Latest(nobody)",
        CORE,
        "NOT_FOUND",
    ),
    _refused("Classify", "Classify needs an input", _C_TO_Y, "Input is empty.", CLASSIFIER_TESTS),
    _refused(
        "Classify",
        "Classify needs an example",
        _C_TO_Y + " input { example_list { } }",
        "Input is empty.",
        CLASSIFIER_TESTS,
    ),
    _refused(
        "Classify",
        "Classify needs an example beside a context",
        _C_TO_Y + _EMPTY_CONTEXT,
        "Input is empty.",
        CLASSIFIER_TESTS,
    ),
    _refused(
        "Classify",
        "Classify by an unknown signature is refused",
        _spec("half_plus_two", "other") + _list(_SIX),
        "No signature was found with the name: other",
        CLASSIFIER_TESTS,
    ),
    _refused(
        "Classify",
        "Classify by a signature of Predict is refused",
        _spec("half_plus_two") + _list(_SIX),
        "No classification inputs found in SignatureDef: ",
        CLASSIFIER,
    ),
    _refused(
        "Classify",
        "Classify by a signature of Regress is refused",
        _R_TO_Y + _list(_SIX),
        "Expected classification signature outputs to contain at least one of",
        CLASSIFIER,
    ),
    _refused(
        "Classify",
        "Classify refuses scores of one dimension",
        _spec("misfits", "flat_scores") + _list("{ }"),
        "Expected Tensor shape: [batch_size num_classes] but got [1]",
        CLASSIFIER_TESTS,
    ),
    # Regress.
    Grpc(
        "Regress answers with a value for each example",
        "Regress",
        _R_TO_Y + _list(_SIX, _EIGHT),
        _regressed(_spec("half_plus_two", "regress_x_to_y", 123), 5, 6),
        source="tensorflow_model_server_test.py",
    ),
    Grpc(
        "Regress computes a model of TensorFlow 2",
        "Regress",
        _spec("half_plus_two_tf2", "regress_x_to_y") + _list(_SIX),
        _regressed(_spec("half_plus_two_tf2", "regress_x_to_y", 1), 5),
        source="tensorflow_model_server_test.py",
    ),
    Grpc(
        "Regress takes a version",
        "Regress",
        _spec("half_plus_two", "regress_x_to_y2", 123) + _list(_SIX),
        _regressed(_spec("half_plus_two", "regress_x_to_y2", 123), 6),
        source=REGRESSOR_TESTS,
    ),
    Grpc(
        "Regress takes a context",
        "Regress",
        _R_TO_Y + f" input {{ example_list_with_context {{ context {_SIX} examples {{ }} }} }}",
        _regressed(_spec("half_plus_two", "regress_x_to_y", 123), 5),
        source=REGRESSOR_TESTS,
    ),
    _refused("Regress", "Regress needs a model", _list(_SIX), "Missing ModelSpec", "regression_service.cc"),
    _refused(
        "Regress",
        "Regress by an unknown version is NOT_FOUND",
        _spec("half_plus_two", "regress_x_to_y", 9) + _list(_SIX),
        "Servable not found for request: Specific(half_plus_two, 9)",
        CORE,
        "NOT_FOUND",
    ),
    _refused("Regress", "Regress needs an input", _R_TO_Y, "Input is empty.", REGRESSOR_TESTS),
    _refused(
        "Regress",
        "Regress needs an example",
        _R_TO_Y + " input { example_list { } }",
        "Input is empty.",
        REGRESSOR_TESTS,
    ),
    _refused(
        "Regress",
        "Regress by an unknown signature is refused",
        _spec("half_plus_two", "other") + _list(_SIX),
        "No signature was found with the name: other",
        REGRESSOR_TESTS,
    ),
    _refused(
        "Regress",
        "Regress by a signature of Classify is refused",
        _C_TO_Y + _list(_SIX),
        "No regression outputs found in SignatureDef: ",
        REGRESSOR,
    ),
    _refused(
        "Regress",
        "Regress refuses outputs of another type",
        _spec("misfits", "double_outputs") + _list("{ }"),
        "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
        REGRESSOR_TESTS,
    ),
    _refused(
        "Regress",
        "Regress refuses outputs of another size",
        _spec("misfits", "one_output") + _list("{ }", "{ }"),
        "Input batch size did not match output batch size: 2 vs. 1",
        REGRESSOR_TESTS,
    ),
    _refused(
        "Regress",
        "Regress of an example without the feature is refused",
        _R_TO_Y + _list("{ }"),
        "Feature: x (data type: float) is required but could not be found.",
        UTIL,
    ),
    # MultiInference.
    Grpc(
        "MultiInference runs one task",
        "MultiInference",
        _task("regress_x_to_y", REGRESS_METHOD) + _list(_SIX),
        _result("regress_x_to_y", _REGRESSED_5),
        source=MULTI_TESTS,
    ),
    Grpc(
        "MultiInference regresses twice",
        "MultiInference",
        _task("regress_x_to_y", REGRESS_METHOD) + _task("regress_x_to_y2", REGRESS_METHOD) + _list(_SIX),
        _result("regress_x_to_y", _REGRESSED_5) + _result("regress_x_to_y2", _REGRESSED_6),
        source=MULTI_TESTS,
    ),
    Grpc(
        "MultiInference regresses and classifies",
        "MultiInference",
        _task("regress_x_to_y", REGRESS_METHOD) + _task("classify_x_to_y", CLASSIFY_METHOD) + _list(_SIX),
        _result("regress_x_to_y", _REGRESSED_5) + _result("classify_x_to_y", _CLASSIFIED_5),
        source=MULTI_TESTS,
    ),
    Grpc(
        "MultiInference feeds the inputs of several signatures",
        "MultiInference",
        _task("regress_x_to_y", REGRESS_METHOD, "half_plus_two_tf2")
        + _task("classify_x_to_y", CLASSIFY_METHOD, "half_plus_two_tf2")
        + _list(_SIX),
        _result("regress_x_to_y", _REGRESSED_5, "half_plus_two_tf2", 1)
        + _result("classify_x_to_y", _CLASSIFIED_5, "half_plus_two_tf2", 1),
        source=MULTI_TESTS,
    ),
    _refused(
        "MultiInference",
        "MultiInference needs a task",
        _list(_SIX),
        "ModelSpec has no name specified.",
        "multi_inference_helper.cc",
    ),
    _refused(
        "MultiInference",
        "MultiInference by an unknown model is NOT_FOUND",
        _task("regress_x_to_y", REGRESS_METHOD, "nobody") + _list(_SIX),
        "Servable not found for request: Latest(nobody)",
        "multi_inference_helper.cc",
        "NOT_FOUND",
    ),
    _refused(
        "MultiInference",
        "MultiInference looks for the first model before the other tasks and the input",
        _task("regress_x_to_y", REGRESS_METHOD, "nobody") + _task("regress_x_to_y", REGRESS_METHOD),
        "Servable not found for request: Latest(nobody)",
        "multi_inference_helper.cc",
        "NOT_FOUND",
    ),
    _refused(
        "MultiInference",
        "MultiInference needs an input",
        _task("regress_x_to_y", REGRESS_METHOD),
        "Input is empty.",
        MULTI_TESTS,
    ),
    _refused(
        "MultiInference",
        "MultiInference by an unknown signature is refused",
        _task("other", REGRESS_METHOD) + _list(_SIX),
        "Requested signature not found in model graph: other",
        MULTI_TESTS,
    ),
    _refused(
        "MultiInference",
        "MultiInference takes one model",
        _task("regress_x_to_y", REGRESS_METHOD)
        + _task("regress_x_to_y", REGRESS_METHOD, "half_plus_two_tf2")
        + _list(_SIX),
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        MULTI_TESTS,
    ),
    _refused(
        "MultiInference",
        "MultiInference needs the model of every task",
        _task("regress_x_to_y", REGRESS_METHOD) + ' tasks { method_name: "tensorflow/serving/regress" }' + _list(_SIX),
        "Found ModelSpec with an empty model name.",
        MULTI,
    ),
    _refused(
        "MultiInference",
        "MultiInference takes a signature once",
        _task("regress_x_to_y", REGRESS_METHOD) * 2 + _list(_SIX),
        "Duplicate evaluation of signature: regress_x_to_y",
        MULTI_TESTS,
    ),
    _refused(
        "MultiInference",
        "MultiInference does not predict",
        _task("serving_default", "tensorflow/serving/predict") + _list(_SIX),
        "Unsupported signature method_name: tensorflow/serving/predict",
        MULTI_TESTS,
        "UNIMPLEMENTED",
    ),
    _refused(
        "MultiInference",
        "MultiInference needs the method of a task",
        _task("regress_x_to_y", "") + _list(_SIX),
        "Unsupported signature method_name: ",
        MULTI,
        "UNIMPLEMENTED",
    ),
    _refused(
        "MultiInference",
        "MultiInference classifies by a signature of classify",
        _task("regress_x_to_y", CLASSIFY_METHOD) + _list(_SIX),
        "Expected classification signature outputs to contain at least one of",
        MULTI,
    ),
)
