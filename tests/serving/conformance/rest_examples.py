"""Rows about classify and regress over REST: examples as JSON, and results."""

from __future__ import annotations

from conformance.table import Rest

JSON, TESTS, CLASSIFIER, REGRESSOR = "json_tensor.cc", "json_tensor_test.cc", "classifier.cc", "regressor.cc"
HANDLER_TESTS = "http_rest_api_handler_test.cc"
HALF_C, HALF_R = "half_plus_two:classify", "half_plus_two:regress"
C, R = "examples:classify", "examples:regress"
_ONE = '{"names": ["a", "b"], "ratings": [0.5, 2.0]}'


def _bad_feature(name: str, feature: str, error: str) -> Rest:
    return Rest(name, R, f'{{"examples": [{{"names": {feature}}}]}}', 400, error=error, source=TESTS)


ROWS = (
    # Results.
    Rest(
        "regress answers with a number for each example",
        HALF_R,
        '{"signature_name": "regress_x_to_y", "examples": [{"x": 6.0}, {"x": [7.0]}]}',
        answer='{"results": [5.0, 5.5]}',
        source=HANDLER_TESTS,
    ),
    Rest(
        "regress takes a version",
        "half_plus_two/versions/123:regress",
        '{"signature_name": "regress_x_to_y2", "examples": [{"x": 6.0}]}',
        answer='{"results": [6.0]}',
        source=HANDLER_TESTS,
    ),
    Rest(
        "regress computes a signature of TensorFlow 2",
        "half_plus_two_tf2:regress",
        '{"signature_name": "regress_x_to_y", "examples": [{"x": 6.0}]}',
        answer='{"results": [5.0]}',
        source="tensorflow_model_server_test.py",
    ),
    Rest(
        "regress takes outputs of one dimension",
        R,
        '{"signature_name": "rating", "examples": [{"rating": 0.5}, {"rating": 3.0}]}',
        answer='{"results": [0.5, 3.0]}',
        source=REGRESSOR,
    ),
    Rest(
        "regress takes outputs of one column",
        R,
        '{"signature_name": "rating_column", "examples": [{"rating": 0.5}, {"rating": 3.0}]}',
        answer='{"results": [0.5, 3.0]}',
        source=REGRESSOR,
    ),
    Rest(
        "regress writes NaN and Infinity",
        R,
        '{"signature_name": "rating", "examples": [{"rating": NaN}, {"rating": Infinity}, {"rating": -Infinity}]}',
        answer='{"results": [NaN, Infinity, -Infinity]}',
        source=TESTS,
    ),
    Rest(
        "classify without labels answers with empty ones",
        HALF_C,
        '{"signature_name": "classify_x_to_y", "examples": [{"x": 6.0}]}',
        answer='{"results": [[["", 5.0]]]}',
        source=HANDLER_TESTS,
    ),
    Rest(
        "classify takes a version",
        "half_plus_two/versions/123:classify",
        '{"signature_name": "classify_x_to_y", "examples": [{"x": 7.0}]}',
        answer='{"results": [[["", 5.5]]]}',
        source=HANDLER_TESTS,
    ),
    Rest(
        "classify computes a signature of TensorFlow 2",
        "half_plus_two_tf2:classify",
        '{"signature_name": "classify_x_to_y", "examples": [{"x": 6.0}]}',
        answer='{"results": [[["", 5.0]]]}',
        source="tensorflow_model_server_test.py",
    ),
    Rest(
        "classify answers with pairs of labels and scores",
        C,
        f'{{"examples": [{_ONE}, {{"names": ["c", "d"], "ratings": [NaN, 1.0]}}]}}',
        answer='{"results": [[["a", 0.5], ["b", 2.0]], [["c", NaN], ["d", 1.0]]]}',
        source=TESTS,
    ),
    Rest(
        "classify without scores answers with zeros",
        C,
        f'{{"signature_name": "classes_only", "examples": [{_ONE}]}}',
        answer='{"results": [[["a", 0.0], ["b", 0.0]]]}',
        source="classifier_test.cc",
    ),
    Rest(
        "classify without classes answers with empty labels",
        C,
        f'{{"signature_name": "scores_only", "examples": [{_ONE}]}}',
        answer='{"results": [[["", 0.5], ["", 2.0]]]}',
        source="classifier_test.cc",
    ),
    Rest(
        "the name of a signature's method is not looked at",
        C,
        f'{{"signature_name": "named_predict", "examples": [{_ONE}]}}',
        answer='{"results": [[["a", 0.5], ["b", 2.0]]]}',
        source=CLASSIFIER,
    ),
    Rest(
        "an empty signature name of classify is serving_default",
        C,
        f'{{"signature_name": "", "examples": [{_ONE}]}}',
        answer='{"results": [[["a", 0.5], ["b", 2.0]]]}',
        source=CLASSIFIER,
    ),
    # Features.
    Rest(
        "whole numbers are features of int64",
        C,
        '{"signature_name": "ages", "examples": [{"ages": [20, -3]}]}',
        answer='{"results": [[["20", 0.0], ["-3", 0.0]]]}',
        source=TESTS,
    ),
    Rest(
        "true and false are features of int64",
        C,
        '{"signature_name": "ages", "examples": [{"ages": [true, false]}]}',
        answer='{"results": [[["1", 0.0], ["0", 0.0]]]}',
        source=TESTS,
    ),
    Rest(
        "numbers and true may be in one feature",
        C,
        '{"signature_name": "ages", "examples": [{"ages": [7, true]}]}',
        answer='{"results": [[["7", 0.0], ["1", 0.0]]]}',
        source=TESTS,
    ),
    Rest(
        "strings and base64 may be in one feature",
        C,
        '{"signature_name": "classes_only", "examples": [{"names": ["a", {"b64": "aGk="}]}]}',
        answer='{"results": [[["a", 0.0], ["hi", 0.0]]]}',
        source=TESTS,
    ),
    Rest(
        "a feature may be one value",
        C,
        '{"signature_name": "query", "examples": [{"query": "cats"}]}',
        answer='{"results": [[["cats", 0.0]]]}',
        source=TESTS,
    ),
    Rest(
        "features that the model does not know are ignored",
        C,
        '{"signature_name": "query", "examples": [{"query": ["cats"], "colour": [1.5]}]}',
        answer='{"results": [[["cats", 0.0]]]}',
        source=JSON,
    ),
    Rest(
        "an example may have no features",
        C,
        '{"signature_name": "query", "examples": [{}]}',
        answer='{"results": [[["none", 0.0]]]}',
        source=JSON,
    ),
    Rest(
        "a feature without values is a missing one",
        C,
        '{"signature_name": "query", "examples": [{"query": []}]}',
        answer='{"results": [[["none", 0.0]]]}',
        source=JSON,
    ),
    Rest(
        "the context belongs to every example",
        C,
        '{"signature_name": "query", "context": {"query": "dogs"}, "examples": [{}, {"names": ["a", "b"]}]}',
        answer='{"results": [[["dogs", 0.0]], [["dogs", 0.0]]]}',
        source="classifier_test.cc",
    ),
    Rest(
        "the context may be empty",
        C,
        '{"signature_name": "query", "context": {}, "examples": [{"query": "cats"}]}',
        answer='{"results": [[["cats", 0.0]]]}',
        source=JSON,
    ),
    _bad_feature("null is no feature", "[10, null]", "Feature: names has element with unexpected JSON type: Null"),
    _bad_feature(
        "a list in a feature is refused", '[["a"], "b"]', "Feature: names has element with unexpected JSON type: Array"
    ),
    _bad_feature(
        "an object in a feature is refused",
        '[10, {"test": 10}]',
        "Feature: names has element with unexpected JSON type: Object",
    ),
    _bad_feature(
        "whole numbers and decimals are different kinds",
        "[10, 10.5]",
        "Unexpected element type in feature: names expecting type: int64",
    ),
    _bad_feature(
        "decimals and whole numbers are different kinds",
        "[10.5, 10]",
        "Unexpected element type in feature: names expecting type: float",
    ),
    _bad_feature(
        "strings and numbers are different kinds",
        '["a", 10]',
        "Unexpected element type in feature: names expecting type: bytes",
    ),
    _bad_feature(
        "a feature of uint64 is refused",
        "[20, 18446744073709551615]",
        "Feature: names has uint64_t element. Only int64_t is supported.",
    ),
    _bad_feature("what is not base64 is no feature", '[{"b64": "*"}]', "Unable to base64 decode"),
    Rest(
        "a missing feature without a default is refused",
        HALF_R,
        '{"signature_name": "regress_x_to_y", "examples": [{}]}',
        400,
        error="Feature: x (data type: float) is required but could not be found.",
        source="http_server.cc",
    ),
    Rest(
        "a feature of another type is refused",
        HALF_R,
        '{"signature_name": "regress_x_to_y", "examples": [{"x": 6}]}',
        400,
        error="Data types don't match. Data type: int64 but expected type: float",
        source="http_server.cc",
    ),
    # Documents.
    Rest(
        "classify needs examples",
        C,
        "{}",
        400,
        error="When method is classify, key 'examples' is expected and was not found",
        source=JSON,
    ),
    Rest(
        "regress needs examples",
        R,
        '{"instances": [{}]}',
        400,
        error="key 'examples' is expected and was not found",
        source=JSON,
    ),
    Rest(
        "examples are a list",
        C,
        f'{{"examples": {_ONE}}}',
        400,
        error="Expecting 'examples' value to be an list/array",
        source=TESTS,
    ),
    Rest(
        "a list of examples is not empty",
        C,
        '{"examples": []}',
        400,
        error="'examples' value is an empty array",
        source=JSON,
    ),
    Rest(
        "an example is no list",
        C,
        f'{{"examples": [[{_ONE}]]}}',
        400,
        error="Example must be JSON object but got JSON Array",
        source=TESTS,
    ),
    Rest(
        "an example is no number",
        R,
        '{"examples": [5]}',
        400,
        error="Example must be JSON object but got JSON Number",
        source=JSON,
    ),
    Rest(
        "a context is no list",
        C,
        f'{{"context": [{{}}], "examples": [{_ONE}]}}',
        400,
        error="Example must be JSON object but got JSON Array",
        source=TESTS,
    ),
    Rest(
        "a signature of classify has a string for a name",
        C,
        f'{{"signature_name": ["ages"], "examples": [{_ONE}]}}',
        400,
        error="'signature_name' key must be a string value.",
        source=TESTS,
    ),
    Rest("classify refuses an empty body", C, "", 400, error="JSON Parse error: The document is empty", source=JSON),
    Rest(
        "classify finds bad JSON before a missing model",
        "nobody:classify",
        "{",
        400,
        error="JSON Parse error: ",
        source="http_rest_api_handler.cc",
    ),
    Rest(
        "classify of an unknown model is not found",
        "nobody:classify",
        f'{{"examples": [{_ONE}]}}',
        404,
        error="Servable not found for request: Latest(nobody)",
        source="classification_service.cc",
    ),
    Rest(
        "regress of an unknown version is not found",
        "examples/versions/5:regress",
        '{"examples": [{}]}',
        404,
        error="Servable not found for request: Specific(examples, 5)",
        source="regression_service.cc",
    ),
)
