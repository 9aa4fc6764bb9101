"""The OpenAPI document of the server: all paths, and the requests and answers of each served model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from kbert.serving.page.tensors import STRING_SCHEMAS, predict_schemas
from kbert.version import __version__

_PART = {"type": "string", "minLength": 1}
_PARAMETERS = {
    "model": {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "The name of the model.",
        "schema": _PART,
    },
    "version": {
        "name": "version",
        "in": "path",
        "required": True,
        "description": "The number of a version.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "label": {
        "name": "label",
        "in": "path",
        "required": True,
        "description": "A label of a version, such as stable.",
        "schema": _PART,
    },
}
_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_STATUS = {
    "type": "object",
    "required": ["model_version_status"],
    "properties": {
        "model_version_status": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["version", "state", "status"],
                "properties": {
                    "version": _TEXT,
                    "state": {"enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
                    "status": {
                        "type": "object",
                        "required": ["error_code", "error_message"],
                        "properties": {"error_code": _TEXT, "error_message": _TEXT},
                    },
                },
            },
        }
    },
}
_METADATA = {
    "type": "object",
    "required": ["model_spec", "metadata"],
    "properties": {
        "model_spec": {
            "type": "object",
            "properties": {"name": _TEXT, "signature_name": _TEXT, "version": _TEXT},
        },
        "metadata": {
            "type": "object",
            "properties": {
                "signature_def": {"type": "object", "properties": {"signature_def": _OBJECT}},
            },
        },
    },
}
_MODELS = {
    "type": "object",
    "required": ["models"],
    "properties": {
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "versions", "manifest", "signatures"],
                "properties": {
                    "name": _TEXT,
                    "versions": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["version", "state", "labels"],
                            "properties": {
                                "version": _TEXT,
                                "state": _TEXT,
                                "labels": {"type": "array", "items": _TEXT},
                            },
                        },
                    },
                    "manifest": {"type": ["object", "null"]},
                    "signatures": _OBJECT,
                },
            },
        }
    },
}
_FEATURE_VALUE = {"description": 'A value or a list of values: strings, integers, decimals or {"b64": "..."}.'}
_EXAMPLES = {
    "type": "object",
    "required": ["examples"],
    "properties": {
        "signature_name": _TEXT,
        "context": {"type": "object", "additionalProperties": _FEATURE_VALUE},
        "examples": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "additionalProperties": _FEATURE_VALUE},
        },
    },
}
_CLASSES = {
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "type": "array",
            "description": "For each example, its classes, each a list of the label and the score.",
            "items": {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2}},
        }
    },
}
_VALUES = {
    "type": "object",
    "required": ["results"],
    "properties": {"results": {"type": "array", "items": {"type": "number"}}},
}
_PREDICT = {
    "type": "object",
    "description": "Either instances (rows) or inputs (columns).",
    "properties": {"signature_name": _TEXT, "instances": {"type": "array", "minItems": 1}, "inputs": {}},
}
_PREDICTED = {"type": "object", "properties": {"predictions": {"type": "array"}, "outputs": {}}}
_SELECTED = {"": (), "/versions/{version}": ("version",), "/labels/{label}": ("label",)}


def openapi(models: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the OpenAPI 3.1 document of the server.

    It describes all paths for any model, and `/v1/models/NAME:predict` of each served model with the names, the types
    and an example of its signature `serving_default`.

    Args:
        models: The content of `/kbert/models`.

    Example:
        >>> from kbert.serving.page.openapi import openapi
        >>> openapi({"models": []})["openapi"]
        '3.1.0'
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kbert serve",
            "version": __version__,
            "description": "The REST API of TensorFlow Serving, and paths that describe the server.",
        },
        "paths": {**_served_models(models), **_any_model(), **_server()},
        "components": {
            "parameters": _PARAMETERS,
            "schemas": {
                **STRING_SCHEMAS,
                "Error": {"type": "object", "required": ["error"], "properties": {"error": _TEXT}},
            },
            "responses": {
                "Error": {
                    "description": "The request failed; the message says why.",
                    "content": _json({"$ref": "#/components/schemas/Error"}),
                }
            },
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
        },
        # Most servers need no key.
        "security": [{}, {"apiKey": []}],
    }


def _served_models(models: Mapping[str, Any]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for model in models["models"]:
        signature = (model.get("signatures") or {}).get("serving_default")
        if signature is None:
            continue
        manifest = model.get("manifest") or {}
        asked, answered = predict_schemas(signature, manifest)
        task = manifest.get("task")
        paths[f"/v1/models/{quote(model['name'], safe='')}:predict"] = {
            "post": {
                "tags": [model["name"]],
                "summary": f"Ask {model['name']}, a model for {task}" if task else f"Ask {model['name']}",
                "requestBody": {"required": True, "content": {"application/json": asked}},
                "responses": _responses("The answers", {"application/json": answered}),
            }
        }
    return paths


def _any_model() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for part, names in _SELECTED.items():
        path = "/v1/models/{model}" + part
        parameters = [{"$ref": f"#/components/parameters/{name}"} for name in ("model", *names)]
        which = f"the {names[0]} of a model" if names else "a model"
        paths[path] = _get(f"The states of {which}", "The states of the versions", _json(_STATUS), parameters)
        paths[f"{path}/metadata"] = _get(
            f"The signatures of {which}", "The signatures, by their names", _json(_METADATA), parameters
        )
        for verb, asked, answered in (
            ("predict", _PREDICT, _PREDICTED),
            ("classify", _EXAMPLES, _CLASSES),
            ("regress", _EXAMPLES, _VALUES),
        ):
            paths[f"{path}:{verb}"] = {
                "parameters": parameters,
                "post": {
                    "tags": ["any model"],
                    "summary": f"Ask {which} to {verb}",
                    "requestBody": {"required": True, "content": _json(asked)},
                    "responses": _responses("The answers", _json(answered)),
                },
            }
    return paths


def _server() -> dict[str, Any]:
    html = {"text/html": {"schema": _TEXT}}
    plain = {"text/plain": {"schema": _TEXT}}
    ready = _get("Whether every wanted version answers", "Every wanted version answers", {})
    ready["get"]["responses"]["503"] = {"description": "A wanted version does not answer yet, or no longer."}
    available = _get("Whether every model has a version that answers", "Every model has a version that answers", {})
    available["get"]["responses"]["503"] = {"description": "A model has no version that answers."}
    return {
        "/": _get("A page to try the models", "The page", html),
        "/openapi.json": _get("This document", "The document", _json(_OBJECT)),
        "/kbert/models": _get("What is served", "The models, their versions and their signatures", _json(_MODELS)),
        "/health/live": _get("Whether the process runs", "The process runs", {}),
        "/health/ready": ready,
        "/health/available": available,
        "/monitoring/prometheus/metrics": _get("Metrics for Prometheus", "The metrics", plain),
    }


def _get(
    summary: str, answer: str, content: Mapping[str, Any], parameters: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    get = {
        "tags": ["server" if parameters is None else "any model"],
        "summary": summary,
        "responses": _responses(answer, content),
    }
    return {"get": get} if parameters is None else {"parameters": parameters, "get": get}


def _responses(description: str, content: Mapping[str, Any]) -> dict[str, Any]:
    answer = {"description": description, "content": content} if content else {"description": description}
    return {"200": answer, "default": {"$ref": "#/components/responses/Error"}}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
