"""The bodies of classify and regress requests, by the rules of TensorFlow Serving's REST API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.serving.examples import Classes
from kbert.serving.request_error import invalid
from kbert.serving.rest.json_document import kind, shown
from kbert.serving.rest.json_tensors import base64_bytes, decimals, is_base64

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def input_of(document: Mapping[str, Any]) -> Any:
    """Returns the message Input with the examples of a request.

    Args:
        document: The body of the request.

    Raises:
        RequestError: An example is invalid, or there is none.
    """
    from tensorflow_serving.apis.input_pb2 import Input

    message = Input()
    if "context" in document:
        message.example_list_with_context.context.CopyFrom(_example(document["context"]))
        examples = message.example_list_with_context.examples
    else:
        examples = message.example_list.examples
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {shown(document)} When method is classify, key 'examples' is expected and was not found"
        )
    rows = document["examples"]
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {shown(document)} Expecting 'examples' value to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {shown(document)} 'examples' value is an empty array")
    examples.extend(_example(row) for row in rows)
    return message


def classes_text(classes: Classes) -> str:
    """Returns the JSON text of an answer to classify: a list of pairs of label and score for each example."""
    rows = classes.rows()
    scores = iter(decimals(np.array([score for row in rows for _, score in row], np.float32)))
    texts = [
        "["
        + ", ".join(
            f"[{json.dumps(label.decode('utf-8', 'replace'), ensure_ascii=False)}, {next(scores)}]" for label, _ in row
        )
        + "]"
        for row in rows
    ]
    return f'{{"results": [{", ".join(texts)}]}}'


def values_text(values: np.ndarray) -> str:
    """Returns the JSON text of an answer to regress: a number for each example."""
    return f'{{"results": [{", ".join(decimals(values))}]}}'


def _example(value: Any) -> Any:
    from tensorflow.core.example.example_pb2 import Example

    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {kind(value)}")
    example = Example()
    for name, content in value.items():
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise invalid(f"expected Unicode text. Received: half of a surrogate pair in {shown(name)}")
        feature = example.features.feature[name]
        for element in content if isinstance(content, list) else [content]:
            _add(element, name, feature)
    return example


def _add(element: Any, name: str, feature: Any) -> None:
    """Adds a value to a feature. Whole numbers and booleans are int64, decimals float, strings and b64 bytes."""
    value: Any
    if isinstance(element, bool):
        value, wanted = int(element), "int64_list"
    elif isinstance(element, int):
        if element >= 2**63:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        if element < -(2**63):
            raise invalid(f"Feature: {name} has an element below the range of int64_t. Only int64_t is supported.")
        value, wanted = element, "int64_list"
    elif isinstance(element, float):
        value, wanted = element, "float_list"
    elif isinstance(element, str):
        value, wanted = element.encode("utf-8", "surrogatepass"), "bytes_list"
    elif is_base64(element):
        value, wanted = base64_bytes(element), "bytes_list"
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {kind(element)}")
    present = feature.WhichOneof("kind")
    if present not in (None, wanted):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[present]}")
    getattr(feature, wanted).value.append(value)
