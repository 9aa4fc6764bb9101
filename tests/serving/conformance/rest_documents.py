"""Rows about the JSON document of a predict request: how it is parsed, and its keys."""

from __future__ import annotations

import gzip

from conformance.table import Rest

HANDLER, JSON, TESTS, SERVER = "http_rest_api_handler.cc", "json_tensor.cc", "json_tensor_test.cc", "http_server.cc"
ECHO, HALF = "echo:predict", "half_plus_two:predict"
_ONE = '{"instances": [1.5]}'
_ONE_ANSWER = '{"predictions": [1.5]}'
_DEEP = "[" * 500_000 + "]" * 500_000

ROWS = (
    # What the parser reads.
    Rest("an empty body is no document", ECHO, "", 400, error="JSON Parse error: The document is empty", source=TESTS),
    Rest("a body of spaces is no document", ECHO, " \n", 400, error="The document is empty", source=JSON),
    Rest(
        "a body that is not JSON is refused",
        HALF,
        "inputs: [3, 4]",
        400,
        error="JSON Parse error: Invalid value",
        source="http_rest_api_handler_test.cc",
    ),
    Rest("a document that ends early is refused", HALF, '{"instances": [3', 400, error="JSON Parse error: "),
    Rest("a comma behind the last value is refused", HALF, '{"instances": [3,]}', 400, error="JSON Parse error: "),
    Rest("single quotes are refused", HALF, "{'instances': [3]}", 400, error="JSON Parse error: "),
    Rest("a number with a leading zero is refused", HALF, '{"instances": [03]}', 400, error="JSON Parse error: "),
    Rest("a number with a plus sign is refused", HALF, '{"instances": [+3]}', 400, error="JSON Parse error: "),
    Rest("a number that ends with its point is refused", HALF, '{"instances": [3.]}', 400, error="JSON Parse error: "),
    Rest(
        "a number beyond float64 is refused",
        HALF,
        '{"instances": [1e999]}',
        400,
        error="JSON Parse error: Number too big to be stored in double.",
    ),
    Rest("lower-case nan is refused", HALF, '{"instances": [nan]}', 400, error="JSON Parse error: "),
    Rest(
        "half of a surrogate pair is refused",
        ECHO,
        r'{"signature_name": "string", "instances": ["\ud83d"]}',
        400,
        error="JSON Parse error: ",
    ),
    Rest(
        "a line break inside a string is refused",
        ECHO,
        '{"signature_name": "string", "instances": ["a\nb"]}',
        400,
        error="JSON Parse error: ",
    ),
    Rest("a list is no request", HALF, "[3, 4]", 400, error="Is not object"),
    Rest("a number is no request", HALF, "3", 400, error="Is not object"),
    Rest("text behind the document is ignored", ECHO, _ONE + " and more", answer=_ONE_ANSWER),
    Rest("a second document is ignored", ECHO, _ONE + '{"instances": [2.5]}', answer=_ONE_ANSWER),
    Rest("a byte order mark is skipped", ECHO, b"\xef\xbb\xbf" + _ONE.encode(), answer=_ONE_ANSWER),
    Rest("spaces and line breaks are skipped", ECHO, '\r\n{\t"instances" :\n[ 1.5 ] }\n', answer=_ONE_ANSWER),
    Rest("the first of two equal keys counts", ECHO, '{"instances": [1.5], "instances": [2.5]}', answer=_ONE_ANSWER),
    Rest(
        "bad JSON is found before a missing model",
        "nobody:predict",
        "{",
        400,
        error="JSON Parse error: ",
        source=HANDLER,
    ),
    # Keys that do not matter.
    Rest(
        "unknown keys are ignored",
        ECHO,
        '{"id": 7, "parameters": {"k": [null]}, "instances": [1.5]}',
        answer=_ONE_ANSWER,
    ),
    Rest(
        "an unknown key may hold 500,000 nested lists",
        ECHO,
        f'{{"extra": {_DEEP}, "instances": [1.5]}}',
        answer=_ONE_ANSWER,
        source=TESTS,
    ),
    # The signature.
    Rest(
        "the signature may be named",
        ECHO,
        '{"signature_name": "int32", "instances": [3]}',
        answer='{"predictions": [3]}',
    ),
    Rest(
        "the key of the signature may come last",
        ECHO,
        '{"instances": [3], "signature_name": "int32"}',
        answer='{"predictions": [3]}',
    ),
    Rest(
        "an empty signature name is serving_default",
        ECHO,
        '{"signature_name": "", "instances": [1.5]}',
        answer=_ONE_ANSWER,
        source=HANDLER,
    ),
    Rest(
        "serving_default may be named",
        ECHO,
        '{"signature_name": "serving_default", "instances": [1.5]}',
        answer=_ONE_ANSWER,
        source="http_rest_api_handler_test.cc",
    ),
    Rest(
        "a signature's name is no number",
        HALF,
        '{"signature_name": 12, "instances": [3]}',
        400,
        error="'signature_name' key must be a string value.",
        source="http_rest_api_handler_test.cc",
    ),
    Rest(
        "a signature's name is not null",
        HALF,
        '{"signature_name": null, "instances": [3]}',
        400,
        error="'signature_name' key must be a string value.",
    ),
    Rest(
        "a signature's name is not 500,000 nested lists",
        HALF,
        f'{{"signature_name": {_DEEP}}}',
        400,
        error="'signature_name' key must be a string value.",
        source=TESTS,
    ),
    Rest(
        "an unknown signature is refused",
        HALF,
        '{"signature_name": "other", "instances": [3]}',
        400,
        error='Serving signature name: "other" not found in signature def',
        source=HANDLER,
    ),
    Rest(
        "a model without signatures has no serving_default",
        "unsigned:predict",
        '{"instances": [3]}',
        400,
        error='Serving signature name: "serving_default" not found in signature def',
        source=HANDLER,
    ),
    Rest(
        "a signature without inputs takes no request",
        "outputs:predict",
        '{"signature_name": "constant", "inputs": {}}',
        400,
        error="Failed to get input map for signature: constant",
    ),
    # Instances and inputs.
    Rest(
        "instances and inputs exclude each other",
        HALF,
        '{"instances": [3], "inputs": [3]}',
        400,
        error="Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        source=TESTS,
    ),
    Rest("one of instances and inputs is needed", HALF, "{}", 400, error="Missing 'inputs' or 'instances' key"),
    Rest("the keys are case-sensitive", HALF, '{"Instances": [3]}', 400, error="Missing 'inputs' or 'instances' key"),
    Rest("instances are a list", HALF, '{"instances": 3}', 400, error="Expecting 'instances' to be an list/array"),
    Rest(
        "instances are no object",
        HALF,
        '{"instances": {"x": [3]}}',
        400,
        error="Expecting 'instances' to be an list/array",
    ),
    Rest("a list of instances is not empty", HALF, '{"instances": []}', 400, error="No values in 'instances' array"),
    # The body as HTTP carries it.
    Rest(
        "a body in gzip is unpacked",
        ECHO,
        gzip.compress(_ONE.encode(), mtime=0),
        answer=_ONE_ANSWER,
        headers={"Content-Encoding": "gzip"},
        source="evhttp_request.cc",
    ),
    Rest(
        "a body that claims to be gzip is refused",
        ECHO,
        _ONE,
        400,
        error="JSON Parse error: The document is empty",
        headers={"Content-Encoding": "gzip"},
        source="evhttp_request.cc",
    ),
    Rest(
        "the type of the body is not looked at",
        ECHO,
        _ONE,
        answer=_ONE_ANSWER,
        headers={"Content-Type": "text/plain"},
        source=SERVER,
    ),
    Rest(
        "the type that curl sends is not looked at",
        ECHO,
        _ONE,
        answer=_ONE_ANSWER,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        source="api_rest.md",
    ),
    Rest(
        "the wanted type of the answer is not looked at",
        ECHO,
        _ONE,
        answer=_ONE_ANSWER,
        headers={"Accept": "text/html"},
        source=SERVER,
    ),
)
