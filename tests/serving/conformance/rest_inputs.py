"""Rows about predict requests in column form, "inputs", and their answers, "outputs"."""

from __future__ import annotations

from conformance.table import Rest

TESTS = "json_tensor_test.cc"
ECHO, HALF, TRIO, OUTPUTS = "echo:predict", "half_plus_two:predict", "trio:predict", "outputs:predict"
_PLAIN_VALUE = (
    "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map"
)
_COLUMNS = '{"tag": ["a", "b", "c"], "signal": [1.5], "sensor": [[4, 5], [6, 7]]}'

ROWS = (
    Rest(
        "inputs may be the only input's value",
        ECHO,
        '{"inputs": [2.5, 0.5]}',
        answer='{"outputs": [2.5, 0.5]}',
        source=TESTS,
    ),
    Rest(
        "inputs may name the only input",
        ECHO,
        '{"inputs": {"x": [[2.5], [0.5]]}}',
        answer='{"outputs": [[2.5], [0.5]]}',
        source=TESTS,
    ),
    Rest("inputs may be a scalar", ECHO, '{"inputs": 2.5}', answer='{"outputs": 2.5}'),
    Rest(
        "a named input may be a scalar",
        OUTPUTS,
        '{"signature_name": "scalar", "inputs": {"n": 21}}',
        answer='{"outputs": 42}',
    ),
    Rest("inputs may be a string", ECHO, '{"signature_name": "string", "inputs": "hi"}', answer='{"outputs": "hi"}'),
    Rest(
        "inputs may be base64",
        ECHO,
        '{"signature_name": "string", "inputs": {"b64": "aGk="}}',
        answer='{"outputs": "hi"}',
    ),
    Rest("an empty list is a batch of none", ECHO, '{"inputs": []}', answer='{"outputs": []}'),
    Rest("empty lists in a list keep their shape", ECHO, '{"inputs": [[], []]}', answer='{"outputs": [[], []]}'),
    Rest(
        "columns may have different first dimensions",
        TRIO,
        f'{{"inputs": {_COLUMNS}}}',
        answer=f'{{"outputs": {_COLUMNS}}}',
        source="api_rest.md",
    ),
    Rest(
        "columns may be scalars and base64",
        TRIO,
        '{"inputs": {"tag": {"b64": "aGk="}, "signal": 1.5, "sensor": 4}}',
        answer='{"outputs": {"tag": "hi", "signal": 1.5, "sensor": 4}}',
        source=TESTS,
    ),
    Rest(
        "unknown columns are ignored", ECHO, '{"inputs": {"x": [1.5], "colour": ["red"]}}', answer='{"outputs": [1.5]}'
    ),
    Rest(
        "a missing column is refused",
        TRIO,
        '{"inputs": {"tag": ["a"], "signal": [1.5]}}',
        400,
        error="Missing named input: sensor in 'inputs' object.",
    ),
    Rest(
        "an empty object lacks the input",
        ECHO,
        '{"inputs": {}}',
        400,
        error="Missing named input: x in 'inputs' object.",
    ),
    Rest("several columns need an object", TRIO, '{"inputs": [1, 2]}', 400, error=_PLAIN_VALUE),
    Rest("null is no value", ECHO, '{"inputs": null}', 400, error="Type: Null is not of expected type: float"),
    Rest(
        "ragged columns are refused",
        ECHO,
        '{"inputs": [[1, 2], [3]]}',
        400,
        error="Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    Rest(
        "a column of lists and numbers is refused",
        ECHO,
        '{"inputs": [1, [2]]}',
        400,
        error="Encountered list at unexpected level: 1 expected < 1",
    ),
    Rest(
        "a column has no shape to obey",
        HALF,
        '{"inputs": [6.0, 8.0]}',
        answer='{"outputs": [5.0, 6.0]}',
        source="http_rest_api_handler_test.cc",
    ),
    Rest(
        "a scalar is computed where the signature has two dimensions",
        HALF,
        '{"inputs": 6.0}',
        answer='{"outputs": 5.0}',
        source="predict_util_test.cc",
    ),
    Rest(
        "an output without dimensions is a column",
        OUTPUTS,
        '{"signature_name": "total", "inputs": [1, 2]}',
        answer='{"outputs": 3.0}',
    ),
    Rest(
        "columns of outputs may have different sizes",
        OUTPUTS,
        '{"signature_name": "uneven", "inputs": [2]}',
        answer='{"outputs": {"short": [2.0], "long": [2.0, 0.5]}}',
    ),
    Rest(
        "columns of outputs keep their dimensions",
        OUTPUTS,
        '{"signature_name": "no_rows_of_two", "inputs": [1]}',
        answer='{"outputs": {"y": [], "z": []}}',
    ),
    Rest(
        "a column needs the inputs that have default values",
        "defaults:predict",
        '{"inputs": {"a": 1}}',
        400,
        error="Missing named input: b in 'inputs' object.",
    ),
)
