"""JSON schemas and examples of a signature's requests and answers."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from importlib import resources
from typing import Any

STRING_SCHEMAS = {
    "Bytes": {
        "type": "object",
        "required": ["b64"],
        "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
        "additionalProperties": False,
    },
    "Text": {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/Bytes"}]},
}
"""The schemas of strings, to which the schemas of this module refer as components of the document."""

_INTEGERS = {f"DT_{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
_FLOATS = frozenset({"DT_HALF", "DT_BFLOAT16", "DT_FLOAT", "DT_DOUBLE"})
_LONGEST_EXAMPLE = 4096
"""An example with more values than this is left out of the document."""


def predict_schemas(signature: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the media types of a predict request and of its answer, each with a schema and an example.

    Args:
        signature: The inputs and outputs by name, each with "dtype" and "shape", as in `/kbert/models`. A shape is a
            list of sizes, -1 for any size; or None if the rank is free.
        manifest: The manifest of the model; empty for a model of unknown origin.
    """
    inputs, outputs = signature["inputs"], signature["outputs"]
    by_row = all(_is_row(info) for info in (*inputs.values(), *outputs.values()))
    task = manifest.get("task")
    texts = examples().get(task, {}) if isinstance(task, str) else {}
    asked = _media(inputs, texts, "instances" if by_row else None, "inputs", also_named=True)
    # The server accepts the names of other signatures too, whose inputs this schema does not know.
    asked["schema"]["properties"]["signature_name"] = {"const": "serving_default"}
    labels = manifest.get("labels") if task in ("classification", "multilabel") else None
    answers = {}
    if labels:
        equal = [round(1 / len(labels), 4)] * len(labels)
        answers = {"label": labels[0], "labels": labels[:1], "classes": list(labels), "probabilities": equal}
    return asked, _media(outputs, answers, "predictions" if by_row else None, "outputs", also_named=False)


@functools.cache
def examples() -> dict[str, dict[str, Any]]:
    """Returns the texts that the page and the OpenAPI document show first: for each task, a value for each input."""
    text = resources.files("kbert.serving.page").joinpath("static-files/examples.json").read_text(encoding="utf-8")
    return json.loads(text)


def _is_row(info: Mapping[str, Any]) -> bool:
    """Returns whether a tensor may have a row for each instance: its first dimension is free, or its rank is."""
    shape = info.get("shape")
    return shape is None or shape[:1] == [-1]


def _media(
    tensors: Mapping[str, Any], known: Mapping[str, Any], row_key: str | None, column_key: str, *, also_named: bool
) -> dict[str, Any]:
    """Returns the schema and an example of tensors as rows under `row_key`, if it is not None, or as columns.

    Args:
        tensors: The inputs or the outputs.
        known: Examples of the rows of some tensors.
        row_key: The key of rows; None if the tensors have no rows.
        column_key: The key of columns.
        also_named: Whether a single tensor may have its name. An answer never names a single output.
    """
    rows = {} if row_key is None else {row_key: {"type": "array", "items": _tensors(tensors, 1, also_named)}}
    properties: dict[str, Any] = {**rows, column_key: _tensors(tensors, 0, also_named)}
    schema = {"type": "object", "properties": properties, "oneOf": [{"required": [key]} for key in properties]}
    outer = 0 if row_key is None else 1
    shapes = [(info.get("shape") or [])[outer:] for info in tensors.values()]
    if sum(math.prod(map(abs, shape)) for shape in shapes) > _LONGEST_EXAMPLE:
        return {"schema": schema}
    values = {
        name: known[name] if outer and name in known else _example(name, info, outer) for name, info in tensors.items()
    }
    value = next(iter(values.values())) if len(values) == 1 else values
    return {"schema": schema, "example": {column_key: value} if row_key is None else {row_key: [value]}}


def _tensors(tensors: Mapping[str, Any], outer: int, also_named: bool) -> dict[str, Any]:
    schemas = {name: _tensor(name, info, outer) for name, info in tensors.items()}
    named = {"type": "object", "required": sorted(schemas), "properties": schemas}
    if len(schemas) != 1:
        return named
    (bare,) = schemas.values()
    return {"anyOf": [bare, named]} if also_named else bare


def _tensor(name: str, info: Mapping[str, Any], outer: int) -> dict[str, Any]:
    """Returns the schema of a tensor as nested lists, without its first `outer` dimensions."""
    if info.get("shape") is None:
        return {"description": f"{info['dtype']} of any shape"}
    schema = _value(name, info["dtype"])
    for size in reversed(info["shape"][outer:]):
        schema = {"type": "array", "items": schema}
        if size >= 0:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _value(name: str, dtype: str) -> dict[str, Any]:
    """Returns the schema of one value."""
    if dtype == "DT_STRING":
        return {"$ref": f"#/components/schemas/{'Bytes' if name.endswith('_bytes') else 'Text'}"}
    if dtype == "DT_BOOL":
        return {"type": "boolean"}
    if dtype in _FLOATS:
        return {"type": "number", "description": f"{dtype}; NaN, Infinity and -Infinity are written as these words"}
    if dtype in _INTEGERS:
        sign, bits = _INTEGERS[dtype]
        low, high = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return {"type": "integer", "minimum": low, "maximum": high}
    return {"description": dtype}


def _example(name: str, info: Mapping[str, Any], outer: int) -> Any:
    """Returns a value that fits the schema of a tensor, with one value where its size is free."""
    value = _leaf(name, info["dtype"])
    for size in reversed((info.get("shape") or [])[outer:]):
        value = [value] * abs(size)
    return value


def _leaf(name: str, dtype: str) -> Any:
    if dtype == "DT_STRING":
        return {"b64": "AA=="} if name.endswith("_bytes") else "text"
    if dtype == "DT_BOOL":
        return False
    return 0.5 if dtype in _FLOATS else 1
