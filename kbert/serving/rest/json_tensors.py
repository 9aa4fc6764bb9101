"""JSON to arrays and back, by the rules of TensorFlow Serving's REST API.

The rules are those of https://www.tensorflow.org/tfx/serving/api_rest. Strings are UTF-8 in JSON and bytes in an array;
`{"b64": "..."}` stands for any bytes.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.serving.request_error import RequestError, invalid
from kbert.serving.rest.json_document import kind, shown
from kbert.serving.tensor_protos import dtype_name

_FLOATS = {"DT_HALF": "float16", "DT_BFLOAT16": "bfloat16", "DT_FLOAT": "float32", "DT_DOUBLE": "float64"}
_INTEGERS = {
    f"DT_{name}": name.lower() for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
}
# TensorFlow Serving reads these as int32, and keeps the lower bits.
_WRAPPED = ("DT_INT8", "DT_INT16", "DT_UINT8")
_MOST_DIMENSIONS = 32
_BASE64_SPACE = re.compile(r"[ \t\n\r\f\v]+")


def instances_arrays(instances: Any, inputs: Mapping[str, Any], wrap_integers: bool = False) -> dict[str, np.ndarray]:
    """Returns the arrays of a request with rows.

    Args:
        instances: The value of the key `instances`.
        inputs: The TensorInfo of each input of the signature.
        wrap_integers: Whether whole numbers that are out of range keep their lower bits instead of being refused.

    Raises:
        RequestError: The rows are no list, or differ in their form or shape, or do not fit the inputs.
    """
    if not isinstance(instances, list):
        raise invalid(f"JSON Value: {shown(instances)} Expecting 'instances' to be an list/array")
    if not instances:
        raise invalid(f"JSON Value: {shown(instances)} No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            f"tensorinfo_map, with the keys: {', '.join(sorted(inputs))}"
        )
    # A protocol buffer raises an error for keys with half of a surrogate pair.
    inputs = dict(inputs)
    named = _is_object(instances[0])
    for index, row in enumerate(instances):
        if _is_object(row) != named:
            words = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {words} at item {index} of input list")
        if named:
            _check_names(index, row, inputs)
    if not named:
        (name,) = inputs
        return {name: _rows_array(name, instances, inputs[name], "", wrap_integers)}
    return {
        name: _rows_array(name, [row[name] for row in instances], info, f" key: {name}", wrap_integers)
        for name, info in inputs.items()
    }


def inputs_arrays(value: Any, inputs: Mapping[str, Any], wrap_integers: bool = False) -> dict[str, np.ndarray]:
    """Returns the arrays of a request with columns. Names that are not inputs are ignored.

    Args:
        value: The value of the key `inputs`.
        inputs: The TensorInfo of each input of the signature.
        wrap_integers: Whether whole numbers that are out of range keep their lower bits instead of being refused.

    Raises:
        RequestError: An input is missing, or its values do not fit.
    """
    if not _is_object(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                f"tensorinfo_map, with the keys: {', '.join(sorted(inputs))}"
            )
        value = dict.fromkeys(inputs, value)
    for name in inputs:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(name, value[name], info, wrap_integers) for name, info in inputs.items()}


def rows_text(outputs: Mapping[str, np.ndarray]) -> str:
    """Returns outputs as the JSON text of an object with `predictions`: one value, or one object, for each row.

    Raises:
        RequestError: The outputs differ in their number of rows, or JSON cannot express a dtype.
    """
    size: int | None = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information; ask with inputs instead of instances")
        if size not in (None, len(array)):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}; ask with inputs "
                "instead of instances"
            )
        size = len(array)
    columns = [_texts(name, array, depth=1) for name, array in outputs.items()]
    if len(columns) == 1:
        rows = columns[0]
    else:
        keys = [f"{_string_text(name)}: " for name in outputs]
        rows = [
            "{" + ", ".join(key + value for key, value in zip(keys, row, strict=True)) + "}"
            for row in zip(*columns, strict=True)
        ]
    return f'{{"predictions": [{", ".join(rows)}]}}'


def columns_text(outputs: Mapping[str, np.ndarray]) -> str:
    """Returns outputs as the JSON text of an object with `outputs`: one array, or an object with one for each output.

    Raises:
        RequestError: JSON cannot express the dtype of an output.
    """
    columns = {name: _texts(name, array, depth=0)[0] for name, array in outputs.items()}
    if len(columns) == 1:
        return f'{{"outputs": {next(iter(columns.values()))}}}'
    return '{"outputs": {' + ", ".join(f"{_string_text(name)}: {text}" for name, text in columns.items()) + "}}"


def decimals(array: np.ndarray) -> list[str]:
    """Returns floats as TensorFlow Serving writes them: with 6 digits if these suffice, or else with all digits."""
    digits = {"float16": 5, "float32": 9, "float64": 17}.get(str(array.dtype), 9)
    values = array.ravel().astype(np.float64)
    short = [f"{value:.6g}" for value in values.tolist()]
    with np.errstate(over="ignore"):
        exact = np.array([float(text) for text in short]).astype(array.dtype) == array.ravel()
    texts = []
    for text, value, is_exact in zip(short, values.tolist(), exact.tolist(), strict=True):
        if not is_exact:
            text = f"{value:.{digits}g}"
        texts.append(_WORDS.get(text) or (text if "." in text or "e" in text else f"{text}.0"))
    return texts


_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def base64_bytes(value: Any) -> bytes:
    """Returns the bytes that an object {"b64": ...} stands for. White space and missing padding are allowed.

    Raises:
        RequestError: The value is no such object, or is not base64.
    """
    if not is_base64(value):
        raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = _BASE64_SPACE.sub("", value["b64"]).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"Unable to base64 decode {shown(value['b64'])}") from None


def is_base64(value: Any) -> bool:
    """Returns whether a JSON value is an object {"b64": "..."}, which stands for bytes."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _check_names(index: int, row: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    for name in row:
        if name not in inputs:
            raise invalid(
                f"Failed to process element: {index} key: {name} of 'instances' list. Error: INVALID_ARGUMENT: JSON "
                f"object: does not have named input: {name}"
            )
    if row.keys() != inputs.keys():
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. JSON object: {shown(row)} keys must be equal to: "
            f"{','.join(sorted(inputs))}"
        )


def _rows_array(name: str, rows: list[Any], info: Any, key: str, wrap_integers: bool) -> np.ndarray:
    """Returns the array of one input for rows; the message of an error names the row."""
    with contextlib.suppress(RequestError):
        return _array(name, rows, info, wrap_integers)
    # The row is searched only now, since valid requests are many.
    first: tuple[int, ...] | None = None
    for index, row in enumerate(rows):
        problem = ""
        try:
            shape = _array(name, row, info, wrap_integers).shape
        except RequestError as error:
            problem = f"{error.code}: {error}"
        else:
            if first is not None and shape != first:
                wrong_size = int(np.prod(shape)) != int(np.prod(first))
                problem = "INVALID_ARGUMENT: " + (
                    f"Expecting tensor size: {int(np.prod(first))} but got: {int(np.prod(shape))}"
                    if wrong_size
                    else f"Expecting shape {_shape(first)} but got: {_shape(shape)}"
                )
            first = first or shape
        if problem:
            raise invalid(f"Failed to process element: {index}{key} of 'instances' list. Error: {problem}")
    raise invalid(f"expected rows of at most {_MOST_DIMENSIONS - 1} dimensions for the input {name}. Received: more")


def _array(name: str, value: Any, info: Any, wrap_integers: bool) -> np.ndarray:
    """Turns nested lists into an array of the dtype of an input; the graph decides about the shape."""
    flat, shape = _flatten(value)
    if len(shape) > _MOST_DIMENSIONS:
        raise invalid(f"input {name}: expected at most {_MOST_DIMENSIONS} nested lists. Received: {len(shape)}")
    dtype = dtype_name(info.dtype)
    if dtype == "DT_STRING":
        array = np.empty(len(flat), dtype=object)
        array[:] = [_bytes(leaf) for leaf in flat]
    elif dtype == "DT_BOOL":
        _check_kinds(flat, dtype, {bool})
        array = np.array(flat, dtype=np.bool_)
    elif dtype in _INTEGERS:
        _check_kinds(flat, dtype, {int})
        if wrap_integers and dtype in _WRAPPED:
            _check_range(flat, "DT_INT32")
            array = np.array(flat, dtype=np.int32).astype(_INTEGERS[dtype])
        else:
            _check_range(flat, dtype)
            array = np.array(flat, dtype=_INTEGERS[dtype])
    elif dtype in _FLOATS:
        _check_kinds(flat, dtype, {int, float})
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=np.float64).astype(_float_type(dtype))
    else:
        first = shown(flat[0] if flat else value)
        raise RequestError("UNIMPLEMENTED", f"Conversion of JSON Value: {first} to type: {_type_name(dtype)}")
    return array.reshape(shape)


def _flatten(value: Any) -> tuple[list[Any], list[int]]:
    """Returns the leaves of nested lists, and the sizes of the lists from the outside in."""
    shape: list[int] = []
    level = [value]
    while any(isinstance(item, list) for item in level):
        # The first value decides, as in TensorFlow Serving.
        if not isinstance(level[0], list):
            raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}")
        for item in level:
            if not isinstance(item, list):
                raise invalid(
                    f"JSON Value: {shown(item)} found at incorrect level: {len(shape) + 1} in the JSON DOM. Expected "
                    f"at level: {_depth(level[0], len(shape))}"
                )
        expected = len(level[0])
        for item in level:
            if len(item) != expected:
                raise invalid(
                    f"Encountered list at unexpected size: {len(item)} at level: {len(shape)} expected size: {expected}"
                )
        shape.append(expected)
        level = list(itertools.chain.from_iterable(level))
    return level, shape


def _depth(value: Any, depth: int) -> int:
    """Returns the number of nested lists down to the first value that is no list."""
    while isinstance(value, list) and value:
        value, depth = value[0], depth + 1
    return depth


def _check_kinds(flat: list[Any], dtype: str, kinds: set[type]) -> None:
    # The exact type, since Python counts a boolean as an integer and JSON does not.
    if not set(map(type, flat)) <= kinds:
        raise _type_error(next(leaf for leaf in flat if type(leaf) not in kinds), dtype)


def _check_range(flat: list[int], dtype: str) -> None:
    limits = np.iinfo(_INTEGERS[dtype])
    for value in (min(flat, default=0), max(flat, default=0)):
        if not limits.min <= value <= limits.max:
            raise _type_error(value, dtype, f", {limits.min} to {limits.max}")


def _type_error(value: Any, dtype: str, more: str = "") -> RequestError:
    return invalid(f"JSON Value: {shown(value)} Type: {kind(value)} is not of expected type: {_type_name(dtype)}{more}")


def _type_name(dtype: str) -> str:
    return dtype.removeprefix("DT_").lower()


def _float_type(dtype: str) -> Any:
    if dtype == "DT_BFLOAT16":
        import tensorflow as tf

        return tf.bfloat16.as_numpy_dtype
    return _FLOATS[dtype]


def _bytes(leaf: Any) -> bytes:
    """Returns the bytes that a JSON string, or an object {"b64": ...}, stands for."""
    if isinstance(leaf, str):
        try:
            return leaf.encode("utf-8")
        except UnicodeEncodeError:
            raise invalid(
                f"JSON Parse error: expected Unicode text. Received: half of a surrogate pair in {shown(leaf)}"
            ) from None
    if isinstance(leaf, dict):
        return base64_bytes(leaf)
    raise _type_error(leaf, "DT_STRING")


def _texts(name: str, array: np.ndarray, depth: int) -> list[str]:
    """Returns the JSON texts of the parts of an array at a depth: of the array itself (0), or of its rows (1)."""
    if array.dtype.kind == "O":
        as_bytes = name.endswith("_bytes")
        texts = [_leaf_text(leaf, as_bytes) for leaf in array.ravel().tolist()]
    elif array.dtype.kind == "f" or str(array.dtype) == "bfloat16":
        texts = decimals(array)
    elif array.dtype.kind == "b":
        texts = ["true" if leaf else "false" for leaf in array.ravel().tolist()]
    elif array.dtype.kind in "iu":
        texts = list(map(str, array.ravel().tolist()))
    else:
        raise invalid(f"Failed to write JSON value for tensor type: {array.dtype} (output {name})")
    for axis in range(array.ndim - 1, depth - 1, -1):
        size, count = array.shape[axis], math.prod(array.shape[:axis])
        texts = ["[" + ", ".join(texts[row * size : (row + 1) * size]) + "]" for row in range(count)]
    return texts


def _leaf_text(value: bytes, as_bytes: bool) -> str:
    if not as_bytes:
        try:
            return _string_text(value.decode("utf-8"))
        except UnicodeDecodeError:
            pass
    return '{"b64": "' + base64.b64encode(value).decode("ascii") + '"}'


def _string_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _shape(sizes: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, sizes)) + "]"
