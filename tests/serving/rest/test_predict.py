import math

import pytest


def test_rows_with_several_outputs_are_objects(predict):
    body = {"instances": ["abc", "é"]}
    answer = {"predictions": [{"length": 3, "upper": "ABC"}, {"length": 2, "upper": "é"}]}
    assert predict("texts", body) == (200, answer)
    assert predict("texts/versions/3", body) == (200, answer)


def test_rows_with_a_single_output_are_bare(predict):
    body = {"signature_name": "echo", "instances": [{"text": "a"}, {"text": "漢字"}]}
    assert predict("texts", body) == (200, {"predictions": ["a", "漢字"]})


def test_rows_of_two_inputs_are_objects(predict):
    body = {"signature_name": "pair", "instances": [{"text": "a", "text_pair": "b"}]}
    assert predict("texts", body) == (200, {"predictions": ["a|b"]})


def test_columns(predict):
    several = {"outputs": {"length": [3], "upper": ["ABC"]}}
    assert predict("texts", {"inputs": ["abc"]}) == (200, several)
    assert predict("texts", {"inputs": {"text": ["abc"]}}) == (200, several)
    body = {"signature_name": "pair", "inputs": {"text": ["a", "c"], "text_pair": ["b", "d"]}}
    assert predict("texts", body) == (200, {"outputs": ["a|b", "c|d"]})
    assert predict("texts", {"signature_name": "echo", "inputs": []}) == (200, {"outputs": []})


def test_bytes_travel_as_base64(predict):
    for instance in ({"b64": "/wA="}, {"text": {"b64": "/wA="}}):
        body = {"signature_name": "echo", "instances": [instance]}
        assert predict("texts", body) == (200, {"predictions": [{"b64": "/wA="}]})
    body = {"signature_name": "echo", "instances": [{"b64": "YWJj"}]}
    assert predict("texts", body) == (200, {"predictions": ["abc"]})
    body = {"signature_name": "echo_bytes", "instances": ["abc"]}
    assert predict("texts", body) == (200, {"predictions": [{"b64": "YWJj"}]})


def test_numbers_keep_their_type_and_their_shortest_decimals(client, predict):
    body = {"instances": [[1, 2.5], [3e38, -7]]}
    answer = client.post("/v1/models/numbers:predict", json=body)
    assert answer.text == '{"predictions": [[0.1, 0.25], [3e+37, -0.7]]}'
    assert answer.headers["content-type"] == "application/json"
    body = {"signature_name": "small", "instances": [-128, 127]}
    assert predict("numbers", body) == (200, {"predictions": [-128, 127]})
    body = {"signature_name": "flip", "instances": [True, False]}
    assert predict("numbers", body) == (200, {"predictions": [False, True]})
    body = {"signature_name": "brain", "instances": [0.5, 2]}
    assert predict("numbers", body) == (200, {"predictions": [0.5, 2.0]})
    body = {"signature_name": "total", "inputs": [1, 2]}
    assert predict("numbers", body) == (200, {"outputs": {"sum": 3.0, "x": [1.0, 2.0]}})


def test_nan_and_infinity_pass_both_ways(predict):
    status, answer = predict("numbers", b'{"instances": [[NaN, Infinity], [-Infinity, 1]]}')
    assert status == 200
    (nan, infinity), rest = answer["predictions"]
    assert math.isnan(nan)
    assert (infinity, rest) == (math.inf, [-math.inf, 0.1])


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "body", "error"),
    [
        ("texts", b"", "JSON Parse error: The document is empty"),
        ("texts", b"{", "JSON Parse error: Missing a name for object member. at offset: 1"),
        ("texts", b"[" * 100_000, "JSON Parse error: The document is empty at offset: 100000"),
        ("texts", b'{"instances": ' + b"[" * 500_000 + b"]" * 500_000 + b"}", "Failed to process element: 0 of 'inst"),
        ("texts", b'{"instances": ["\xff"]}', "JSON Parse error: Invalid UTF-8 at offset: 16"),
        ("texts", ["a"], 'JSON Value: ["a"] Is not object'),
        ("texts", {}, "Missing 'inputs' or 'instances' key"),
        ("texts", {"instances": ["a"], "inputs": ["a"]}, 'JSON Value: {"instances": ["a"], "inputs": ["a"]} Not form'),
        (
            "texts",
            {"instances": ["a"], "signature_name": 1},
            'JSON Value: {"instances": ["a"], "signature_name": 1} not formatted correctly. \'signature_name\' key',
        ),
        (
            "texts",
            {"instances": ["a"], "signature_name": "none"},
            'Serving signature name: "none" not found in signature def, which has: echo, echo_bytes, pair, serving_def',
        ),
        ("texts", {"instances": []}, "JSON Value: [] No values in 'instances' array"),
        ("texts", {"instances": "a"}, "JSON Value: \"a\" Expecting 'instances' to be an list/array"),
        ("texts", {"instances": ["a", {"text": "b"}]}, "Expecting value/list but got object at item 1 of input list"),
        (
            "texts",
            {"instances": [{"txt": "a"}]},
            "Failed to process element: 0 key: txt of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not "
            "have named input: txt",
        ),
        (
            "texts",
            {"instances": [{"text": "a", "text_pair": "b"}, {"text": "a"}], "signature_name": "pair"},
            'Failed to process element: 1 of \'instances\' list. JSON object: {"text": "a"} keys must be equal to: '
            "text,text_pair",
        ),
        (
            "texts",
            {"instances": ["a"], "signature_name": "pair"},
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per",
        ),
        (
            "texts",
            {"inputs": ["a"], "signature_name": "pair"},
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per",
        ),
        ("texts", {"inputs": {"text": ["a"]}, "signature_name": "pair"}, "Missing named input: text_pair in 'inputs'"),
        (
            "texts",
            {"instances": ["a", 1]},
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 1 Type: Number is "
            "not of expected type: string",
        ),
        ("texts", {"inputs": [None]}, "JSON Value: null Type: Null is not of expected type: string"),
        ("texts", {"inputs": [{"b64": "?"}]}, 'Unable to base64 decode "?"'),
        ("texts", {"inputs": [{"b64": 7}]}, 'JSON Value: {"b64": 7} not formatted correctly for base64 data'),
        ("texts", {"inputs": ["\ud800"]}, "JSON Parse error: expected Unicode text. Received: half of a surrogate"),
        (
            "numbers",
            {"instances": [[1, 2], [3]]},
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but "
            "got: 1",
        ),
        ("numbers", {"inputs": [[1, 2], [3]]}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ("numbers", {"inputs": [[1, 2], 3]}, "JSON Value: 3 found at incorrect level: 2 in the JSON DOM."),
        ("numbers", {"inputs": [[1, "2"]]}, 'JSON Value: "2" Type: String is not of expected type: float'),
        ("numbers", {"inputs": [[1, True]]}, "JSON Value: true Type: True is not of expected type: float"),
        (
            "numbers",
            {"inputs": [128], "signature_name": "small"},
            "JSON Value: 128 Type: Number is not of expected type: int8, -128 to 127",
        ),
        (
            "numbers",
            {"inputs": [1.0], "signature_name": "small"},
            "JSON Value: 1.0 Type: Number is not of expected type: int8",
        ),
        (
            "numbers",
            {"instances": [1, 2], "signature_name": "total"},
            "Tensor name: sum has no shape information; ask with inputs instead of instances",
        ),
        ("texts", {"instances": ["abcd"], "signature_name": "short_only"}, "assertion failed: [expected texts"),
    ],
)
def test_a_bad_request_is_told_in_one_line(model, body, error, predict):
    status, answer = predict(model, body)
    assert status == 400
    assert list(answer) == ["error"]
    assert answer["error"].startswith(error)
    assert "\n" not in answer["error"]


def test_what_tensorflow_serving_ignores_is_ignored(predict):
    answer = (200, {"outputs": ["a"]})
    assert predict("texts", {"signature_name": "echo", "inputs": {"text": ["a"], "x": [1]}, "id": 7}) == answer
    assert predict("texts", b'{"signature_name": "echo", "inputs": ["a"]} and more') == answer
    assert predict("texts", b'{"signature_name": "echo", "inputs": ["a"], "inputs": ["b"]}') == answer
    deep = b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b', "signature_name": "echo", "inputs": ["a"]}'
    assert predict("texts", deep) == answer
    assert predict("texts", {"signature_name": "", "inputs": ["a"]})[0] == 200


def test_the_graph_decides_about_shapes(predict):
    assert predict("numbers", {"instances": [[1, 2, 3]]}) == (200, {"predictions": [[0.1, 0.2, 0.3]]})
    assert predict("texts", {"signature_name": "echo", "inputs": "a"}) == (200, {"outputs": "a"})


def test_numbers_beyond_the_range_are_infinite(predict):
    status, answer = predict("numbers", {"instances": [[1e39, -(10**60)]]})
    assert (status, answer) == (200, {"predictions": [[math.inf, -math.inf]]})


def test_a_type_without_a_form_in_json_is_not_implemented(predict):
    body = {"signature_name": "imaginary", "inputs": [1]}
    error = "Conversion of JSON Value: 1 to type: complex64"
    assert predict("numbers", body) == (501, {"error": error})
