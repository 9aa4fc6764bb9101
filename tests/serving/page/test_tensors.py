import pytest

from kbert.serving.page.tensors import STRING_SCHEMAS, examples, predict_schemas


def tensor(dtype, shape):
    return {"dtype": dtype, "shape": shape}


def schemas(inputs, outputs, manifest=None):
    return predict_schemas({"inputs": inputs, "outputs": outputs}, manifest or {})


def valid(schema, value):
    """Whether a value fits a schema of the document."""
    jsonschema = pytest.importorskip("jsonschema", reason="needs the package jsonschema")
    whole = {**schema, "components": {"schemas": STRING_SCHEMAS}}
    return jsonschema.Draft202012Validator(whole).is_valid(value)


def test_rows_and_columns_of_one_input():
    asked, _ = schemas({"text": tensor("DT_STRING", [-1])}, {"vector": tensor("DT_FLOAT", [-1, 3])})
    text = {"$ref": "#/components/schemas/Text"}
    named = {"type": "object", "required": ["text"], "properties": {"text": text}}
    assert asked["schema"]["properties"]["instances"] == {"type": "array", "items": {"anyOf": [text, named]}}
    assert asked["schema"]["oneOf"] == [{"required": ["instances"]}, {"required": ["inputs"]}]
    assert asked["schema"]["properties"]["signature_name"] == {"const": "serving_default"}
    assert asked["example"] == {"instances": ["text"]}


def test_an_answer_never_names_a_single_output():
    _, answered = schemas({"text": tensor("DT_STRING", [-1])}, {"vector": tensor("DT_FLOAT", [-1, 3])})
    items = answered["schema"]["properties"]["predictions"]["items"]
    assert (items["type"], items["minItems"], items["maxItems"]) == ("array", 3, 3)
    assert items["items"]["type"] == "number"
    assert answered["example"] == {"predictions": [[0.5, 0.5, 0.5]]}


def test_a_signature_without_rows_has_columns_alone():
    asked, answered = schemas(
        {"x": tensor("DT_FLOAT", [-1]), "n": tensor("DT_INT64", [])}, {"y": tensor("DT_BOOL", [-1])}
    )
    assert "instances" not in asked["schema"]["properties"]
    assert asked["example"] == {"inputs": {"x": [0.5], "n": 1}}
    assert answered["example"] == {"outputs": [False]}
    assert answered["schema"]["oneOf"] == [{"required": ["outputs"]}]


@pytest.mark.parametrize(
    ("dtype", "shape", "good", "bad"),
    [
        ("DT_STRING", [-1], ["a", {"b64": "AA=="}], [1, None, ["a"], {"b64": 1}, {"a": "b"}]),
        ("DT_UINT8", [-1], [0, 255], [256, -1, 0.5, "1", True]),
        ("DT_INT64", [-1], [-(2**63), 2**63 - 1], [2**63, "1"]),
        ("DT_FLOAT", [-1, 2], [[1, 2.5]], [[1], [1, 2, 3], 1, ["a", "b"]]),
        ("DT_BOOL", [-1, -1], [[], [True, False]], [True, [1]]),
        ("DT_FLOAT", None, [1, [[2.0]], "NaN"], []),
        ("DT_COMPLEX64", [-1], [1, "anything"], []),
    ],
)
def test_values_of_each_type(dtype, shape, good, bad):
    asked, _ = schemas({"x": tensor(dtype, shape), "z": tensor("DT_FLOAT", [-1])}, {"y": tensor("DT_FLOAT", [-1])})
    for value in good:
        assert valid(asked["schema"], {"instances": [{"x": value, "z": 1}]}), value
    for value in bad:
        assert not valid(asked["schema"], {"instances": [{"x": value, "z": 1}]}), value
    assert not valid(asked["schema"], {"instances": [{"x": good[0]}]})
    assert not valid(asked["schema"], {})


def test_outputs_that_end_in_bytes_are_base64():
    _, answered = schemas({"x": tensor("DT_FLOAT", [-1])}, {"y_bytes": tensor("DT_STRING", [-1])})
    assert valid(answered["schema"], {"predictions": [{"b64": "AA=="}]})
    assert not valid(answered["schema"], {"predictions": ["AA=="]})
    assert answered["example"] == {"predictions": [{"b64": "AA=="}]}


def test_the_example_of_a_task_has_its_texts_and_labels():
    manifest = {"task": "multilabel", "labels": ["动作", "love", "crime", "war"]}
    asked, answered = schemas(
        {"text": tensor("DT_STRING", [-1])},
        {
            "labels": tensor("DT_STRING", [-1, -1]),
            "count": tensor("DT_INT32", [-1]),
            "classes": tensor("DT_STRING", [-1, 4]),
            "probabilities": tensor("DT_FLOAT", [-1, 4]),
        },
        manifest,
    )
    assert asked["example"] == {"instances": ["A detective and a robot fall in love on a spaceship."]}
    assert answered["example"]["predictions"] == [
        {
            "labels": ["动作"],
            "count": 1,
            "classes": ["动作", "love", "crime", "war"],
            "probabilities": [0.25, 0.25, 0.25, 0.25],
        }
    ]
    assert valid(answered["schema"], answered["example"])


def test_a_long_example_is_left_out():
    asked, _ = schemas({"x": tensor("DT_FLOAT", [-1, 64, 65])}, {"y": tensor("DT_FLOAT", [-1])})
    assert "example" not in asked
    assert "example" in schemas({"x": tensor("DT_FLOAT", [-1, 64, 64])}, {"y": tensor("DT_FLOAT", [-1])})[0]


def test_an_unknown_task_has_examples_of_its_types():
    for manifest in ({}, {"task": "joint"}, {"task": ["x"]}):
        asked, _ = schemas({"text": tensor("DT_STRING", [-1])}, {"y": tensor("DT_FLOAT", [-1])}, manifest)
        assert asked["example"] == {"instances": ["text"]}
    assert "joint" not in examples()
