import pytest

from kbert.serving.page.openapi import openapi

FILMS = {
    "name": "films",
    "versions": [{"version": "1", "state": "AVAILABLE", "labels": ["stable"]}],
    "manifest": {"task": "classification", "text_inputs": ["text"], "labels": ["bad", "good"]},
    "signatures": {
        "serving_default": {
            "inputs": {"text": {"dtype": "DT_STRING", "shape": [-1]}},
            "outputs": {
                "label": {"dtype": "DT_STRING", "shape": [-1]},
                "classes": {"dtype": "DT_STRING", "shape": [-1, 2]},
                "probabilities": {"dtype": "DT_FLOAT", "shape": [-1, 2]},
            },
        }
    },
}
FOREIGN = {
    "name": "a:b/{c}",
    "versions": [],
    "manifest": None,
    "signatures": {
        "serving_default": {
            "inputs": {"x": {"dtype": "DT_FLOAT", "shape": None}, "n": {"dtype": "DT_UINT8", "shape": []}},
            "outputs": {"y_bytes": {"dtype": "DT_STRING", "shape": [3]}},
        }
    },
}
BARE = {"name": "bare", "versions": [], "manifest": None, "signatures": {"tokens": {"inputs": {}, "outputs": {}}}}
MODELS = {"models": [FILMS, FOREIGN, BARE]}


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from references(part)


def test_all_paths_of_the_server_are_described():
    paths = openapi({"models": []})["paths"]
    assert list(paths) == [
        *(
            f"/v1/models/{{model}}{part}{verb}"
            for part in ("", "/versions/{version}", "/labels/{label}")
            for verb in ("", "/metadata", ":predict", ":classify", ":regress")
        ),
        "/",
        "/openapi.json",
        "/kbert/models",
        "/health/live",
        "/health/ready",
        "/health/available",
        "/monitoring/prometheus/metrics",
    ]
    assert paths["/v1/models/{model}/labels/{label}:predict"]["parameters"] == [
        {"$ref": "#/components/parameters/model"},
        {"$ref": "#/components/parameters/label"},
    ]
    assert "503" in paths["/health/ready"]["get"]["responses"]


def test_a_served_model_is_described_with_its_names_and_an_example():
    post = openapi(MODELS)["paths"]["/v1/models/films:predict"]["post"]
    assert post["summary"] == "Ask films, a model for classification"
    asked = post["requestBody"]["content"]["application/json"]
    assert asked["example"] == {"instances": ["The film starts slowly, but its second half is a delight."]}
    answered = post["responses"]["200"]["content"]["application/json"]
    assert answered["example"] == {
        "predictions": [{"label": "bad", "classes": ["bad", "good"], "probabilities": [0.5, 0.5]}]
    }


def test_names_are_encoded_and_a_model_without_serving_default_has_no_path_of_its_own():
    paths = [path for path in openapi(MODELS)["paths"] if "{model}" not in path and path.startswith("/v1")]
    assert paths == ["/v1/models/films:predict", "/v1/models/a%3Ab%2F%7Bc%7D:predict"]


def test_every_reference_has_a_target():
    document = openapi(MODELS)
    found = set(references(document))
    assert "#/components/schemas/Text" in found
    for reference in found:
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_the_document_is_valid_openapi():
    validator = pytest.importorskip("openapi_spec_validator", reason="needs the package openapi-spec-validator")
    validator.validate(openapi(MODELS))
