"""Rows about predict requests in row form, "instances", and their answers, "predictions"."""

from __future__ import annotations

from conformance.table import Rest

TESTS, HANDLER_TESTS = "json_tensor_test.cc", "http_rest_api_handler_test.cc"
ECHO, HALF, TRIO, OUTPUTS = "echo:predict", "half_plus_two:predict", "trio:predict", "outputs:predict"
_TRIO = '{"tag": "a", "signal": [1.5], "sensor": [[4, 5]]}'
_PLAIN_LIST = (
    "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map"
)

ROWS = (
    # Shapes.
    Rest(
        "numbers are a batch of scalars",
        ECHO,
        '{"instances": [2.5, 0.5]}',
        answer='{"predictions": [2.5, 0.5]}',
        source=TESTS,
    ),
    Rest(
        "lists are a batch of vectors",
        ECHO,
        '{"instances": [[2.5, 1.0], [0.5, 3.0]]}',
        answer='{"predictions": [[2.5, 1.0], [0.5, 3.0]]}',
        source=TESTS,
    ),
    Rest(
        "nested lists are a batch of tensors",
        ECHO,
        '{"instances": [[[1.5], [2.5]]]}',
        answer='{"predictions": [[[1.5], [2.5]]]}',
        source="api_rest.md",
    ),
    Rest(
        "there may be 20,000 instances",
        ECHO,
        f'{{"signature_name": "int32", "instances": {[7] * 20_000}}}',
        answer=f'{{"predictions": {[7] * 20_000}}}',
    ),
    Rest("an instance may be an empty list", ECHO, '{"instances": [[], []]}', answer='{"predictions": [[], []]}'),
    Rest(
        "a shape that the signature allows is computed",
        HALF,
        '{"instances": [[6.0], [8.0]]}',
        answer='{"predictions": [[5.0], [6.0]]}',
        source=HANDLER_TESTS,
    ),
    Rest(
        "a shape of fewer dimensions than the signature's is computed",
        HALF,
        '{"instances": [6.0, 8.0]}',
        answer='{"predictions": [5.0, 6.0]}',
        source=HANDLER_TESTS,
    ),
    Rest(
        "a shape of other sizes than the signature's is computed",
        HALF,
        '{"instances": [[6.0, 8.0], [1.0, 2.0]]}',
        answer='{"predictions": [[5.0, 6.0], [2.5, 3.0]]}',
        source=HANDLER_TESTS,
    ),
    Rest(
        "a shape that TensorFlow 2's signature does not allow is computed",
        "half_plus_two_tf2:predict",
        '{"instances": [6.0, 8.0]}',
        answer='{"predictions": [5.0, 6.0]}',
        source="predict_util.cc",
    ),
    Rest(
        "whole numbers are floats where the signature says so",
        HALF,
        '{"instances": [6, 7]}',
        answer='{"predictions": [5.0, 5.5]}',
        source=TESTS,
    ),
    Rest(
        "instances of different sizes are refused",
        ECHO,
        '{"instances": [[1, 2], [3, 4, 5]]}',
        400,
        error="Expecting tensor size: 2 but got: 3",
        source=TESTS,
    ),
    Rest(
        "instances of different shapes are refused",
        ECHO,
        '{"instances": [[1, 2], [[3, 4]]]}',
        400,
        error="Expecting shape [2] but got: [1,2]",
        source=TESTS,
    ),
    Rest(
        "a scalar and a list are different shapes",
        ECHO,
        '{"instances": [1, [2]]}',
        400,
        error="Expecting shape [] but got: [1]",
        source=TESTS,
    ),
    Rest(
        "ragged lists in an instance are refused",
        ECHO,
        '{"instances": [[[1], [2, 3]]]}',
        400,
        error="Encountered list at unexpected size: 2 at level: 1 expected size: 1",
    ),
    Rest(
        "a list beside a number is refused",
        ECHO,
        '{"instances": [[1, [2]]]}',
        400,
        error="Encountered list at unexpected level: 1 expected < 1",
    ),
    Rest(
        "a number beside a list is refused",
        ECHO,
        '{"instances": [[[1], 2]]}',
        400,
        error="found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    Rest(
        "the error says which instance is at fault",
        ECHO,
        '{"instances": [1, 2, "x"]}',
        400,
        error="Failed to process element: 2 of 'instances' list. Error: INVALID_ARGUMENT: ",
    ),
    # Names of inputs.
    Rest(
        "an instance may name its only input",
        ECHO,
        '{"instances": [{"x": [1.5]}, {"x": [2.5]}]}',
        answer='{"predictions": [[1.5], [2.5]]}',
        source=TESTS,
    ),
    Rest(
        "instances name several inputs",
        TRIO,
        f'{{"instances": [{_TRIO}, {{"sensor": [[6, 7]], "tag": "b", "signal": [2.5]}}]}}',
        answer=f'{{"predictions": [{_TRIO}, {{"tag": "b", "signal": [2.5], "sensor": [[6, 7]]}}]}}',
        source=TESTS,
    ),
    Rest(
        "a missing input is refused",
        TRIO,
        '{"instances": [{"tag": "a", "signal": [1.5]}]}',
        400,
        error="keys must be equal to: sensor,signal,tag",
    ),
    Rest(
        "an input that one instance lacks is refused",
        TRIO,
        f'{{"instances": [{_TRIO}, {{"tag": "b", "signal": [2.5]}}]}}',
        400,
        error="Failed to process element: 1 of 'instances' list.",
    ),
    Rest(
        "an unknown input is refused",
        ECHO,
        '{"instances": [{"x": 1.5, "colour": 2}]}',
        400,
        error="JSON object: does not have named input: colour",
    ),
    Rest(
        "the error says which input is at fault",
        TRIO,
        '{"instances": [{"tag": "a", "signal": ["b"], "sensor": [[4, 5]]}]}',
        400,
        error="Failed to process element: 0 key: signal of 'instances' list.",
    ),
    Rest("several inputs need objects", TRIO, '{"instances": ["a", "b"]}', 400, error=_PLAIN_LIST),
    Rest(
        "a list behind an object is refused",
        ECHO,
        '{"instances": [{"x": [1]}, [2]]}',
        400,
        error="Expecting object but got list at item 1 of input list",
        source=TESTS,
    ),
    Rest(
        "an object behind a list is refused",
        ECHO,
        '{"instances": [[1], {"x": [2]}]}',
        400,
        error="Expecting value/list but got object at item 1 of input list",
        source=TESTS,
    ),
    # Outputs.
    Rest("one output has no name", OUTPUTS, '{"instances": [2.5]}', answer='{"predictions": [2.5]}', source=TESTS),
    Rest(
        "several outputs have names",
        OUTPUTS,
        '{"signature_name": "text_and_bytes", "instances": ["hi", "a"]}',
        answer='{"predictions": [{"text": "hi", "raw_bytes": {"b64": "aGk="}}, '
        '{"text": "a", "raw_bytes": {"b64": "YQ=="}}]}',
        source=TESTS,
    ),
    Rest(
        "an output of no rows is an empty list",
        OUTPUTS,
        '{"signature_name": "no_rows", "instances": [1]}',
        answer='{"predictions": []}',
        source=TESTS,
    ),
    Rest(
        "several outputs of no rows are an empty list",
        OUTPUTS,
        '{"signature_name": "no_rows_of_two", "instances": [1]}',
        answer='{"predictions": []}',
        source=TESTS,
    ),
    Rest(
        "an output without dimensions has no rows",
        OUTPUTS,
        '{"signature_name": "total", "instances": [1, 2]}',
        400,
        error="Tensor name: total has no shape information",
        source=TESTS,
    ),
    Rest(
        "an output without dimensions beside another has no rows",
        OUTPUTS,
        '{"signature_name": "total_and_x", "instances": [1, 2]}',
        400,
        error="Tensor name: total has no shape information",
    ),
    Rest(
        "outputs of different sizes have no rows",
        OUTPUTS,
        '{"signature_name": "uneven", "instances": [1, 2]}',
        400,
        error="has inconsistent batch size: ",
        source=TESTS,
    ),
    # Models.
    Rest(
        "the initial operation of a model has run",
        OUTPUTS,
        '{"signature_name": "lookup", "instances": ["two", "three", "one"]}',
        answer='{"predictions": [2, -1, 1]}',
        source="saved_model_bundle_factory.cc",
    ),
    Rest(
        "a graph that fails answers with its code",
        "troubles:predict",
        '{"instances": ["1", "abc"]}',
        400,
        error="could not correctly convert string: abc",
        source="http_server.cc",
    ),
    Rest(
        "predict takes a regression signature of numbers",
        HALF,
        '{"signature_name": "regress_x2_to_y3", "instances": [{"inputs": 6.0}]}',
        answer='{"predictions": [6.0]}',
        source="predict_util_test.cc",
    ),
    Rest(
        "predict takes a classification signature of numbers",
        HALF,
        '{"signature_name": "classify_x2_to_y3", "instances": [6.0, 8.0]}',
        answer='{"predictions": [6.0, 7.0]}',
        source="predict_util_test.cc",
    ),
    Rest(
        "an instance needs the inputs that have default values",
        "defaults:predict",
        '{"instances": [{"a": 1}]}',
        400,
        error="keys must be equal to: a,b",
    ),
    Rest(
        "a default value gives way to the request's",
        "defaults:predict",
        '{"instances": [{"a": 1, "b": 4}]}',
        answer='{"predictions": [5.0]}',
        source="predict_util.cc",
    ),
)
