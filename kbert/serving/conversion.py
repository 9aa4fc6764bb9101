"""JSON to arrays and back, by the rules of TensorFlow Serving's REST API.

The rules are those of https://www.tensorflow.org/tfx/serving/api_rest. Strings are UTF-8 in JSON and
bytes in an array; `{"b64": "..."}` stands for any bytes. This module works on NumPy arrays, without TensorFlow.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import itertools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.serving.request_error import RequestError

_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", dict: "object"}


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """The dtype and the shape of one tensor of a signature."""

    dtype: str
    """TensorFlow's name of the dtype: "string", "float32", "int64" ..."""
    shape: tuple[int | None, ...] | None
    """The size of each dimension, None for a free dimension; None instead of a tuple if the rank is free."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a signature, by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """The body of a predict request: `values` are its instances (rows) or its inputs (columns)."""

    signature_name: str
    by_row: bool
    values: Any


def parse_request(body: bytes) -> PredictRequest:
    """Reads the body of a predict request.

    Raises:
        RequestError: The body is not JSON, or has other keys than a predict request.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise _invalid(f"expected a JSON object as the request's body. Received: invalid JSON ({problem})") from None
    if not isinstance(request, dict):
        raise _invalid(f"expected a JSON object as the request's body. Received: {_kind(request)}")
    unknown = sorted(request.keys() - {"signature_name", "instances", "inputs"})
    if unknown:
        raise _invalid(f"expected the keys signature_name, and instances or inputs. Received: {_show(unknown[0])}")
    if ("instances" in request) == ("inputs" in request):
        received = "both" if "inputs" in request else "neither"
        raise _invalid(f"expected one of the keys instances (rows) and inputs (columns). Received: {received}")
    name = request.get("signature_name", "serving_default")
    if not isinstance(name, str):
        raise _invalid(f"expected a string as signature_name. Received: {_kind(name)}")
    if "inputs" in request:
        return PredictRequest(name, by_row=False, values=request["inputs"])
    rows = request["instances"]
    if not isinstance(rows, list) or not rows:
        received = "an empty list" if rows == [] else _kind(rows)
        raise _invalid(f"expected a list of at least one instance as instances. Received: {received}")
    return PredictRequest(name, by_row=True, values=rows)


def request_arrays(request: PredictRequest, signature: Signature) -> dict[str, np.ndarray]:
    """The arrays of a request for the inputs of a signature, with the dtypes and shapes of the signature.

    Strings are object arrays of bytes; bfloat16 inputs are float32 arrays, since NumPy has no bfloat16.

    Raises:
        RequestError: An input is missing, unexpected, ragged, or of another dtype or shape.
    """
    values = request.values
    named = [_is_object(row) for row in values] if request.by_row else [_is_object(values)]
    if any(named) != all(named):
        raise _invalid("expected instances that are all objects or all values. Received: some of each")
    columns: dict[str, Any]
    if not all(named):
        if len(signature.inputs) != 1:
            what = "each instance" if request.by_row else "inputs"
            names = ", ".join(sorted(signature.inputs))
            raise _invalid(f"expected {what} to be an object with the keys: {names}. Received: values alone")
        columns = dict.fromkeys(signature.inputs, values)
    elif request.by_row:
        for row in values:
            _check_names(row, signature)
        columns = {name: [row[name] for row in values] for name in signature.inputs}
    else:
        _check_names(values, signature)
        columns = values
    return {name: _array(name, columns[name], info) for name, info in signature.inputs.items()}


def response(request: PredictRequest, outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The answer to a request: rows as `predictions`, columns as `outputs`; a single output has no name.

    Raises:
        RequestError: The request has rows, but the outputs differ in their number of rows; or JSON cannot express the
            dtype of an output.
    """
    if request.by_row:
        shapes = {name: array.shape for name, array in outputs.items()}
        if len({shape[:1] for shape in shapes.values()}) > 1 or () in shapes.values():
            raise _invalid(
                "expected outputs with one row for each instance. Received: the shapes "
                f"{', '.join(f'{name} {list(shape)}' for name, shape in shapes.items())}; ask with inputs instead of "
                "instances"
            )
    columns = {name: _json(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        return {"predictions" if request.by_row else "outputs": next(iter(columns.values()))}
    if not request.by_row:
        return {"outputs": columns}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def _check_names(row: Mapping[str, Any], signature: Signature) -> None:
    names = ", ".join(sorted(signature.inputs))
    for name in signature.inputs:
        if name not in row:
            raise _invalid(f"expected the inputs {names}. Received: none called {_show(name)}")
    for name in row:
        if name not in signature.inputs:
            raise _invalid(f"expected the inputs {names}. Received: {_show(name)}")


def _array(name: str, value: Any, info: TensorInfo) -> np.ndarray:
    """Turns nested lists into an array of the dtype and shape in `info`."""
    where = f"input {_show(name)}"
    flat, shape = _flatten(where, value)
    if info.shape is not None and (
        len(shape) != len(info.shape)
        or any(wanted not in (None, size) for wanted, size in zip(info.shape, shape, strict=True))
    ):
        wanted = ", ".join("any" if size is None else str(size) for size in info.shape)
        raise _invalid(f"{where}: expected values of the shape [{wanted}]. Received: the shape {shape}")
    if info.dtype == "string":
        array = np.empty(len(flat), dtype=object)
        array[:] = [_bytes(where, leaf) for leaf in flat]
    elif info.dtype == "bool":
        _check_kinds(where, flat, info.dtype, {bool})
        array = np.array(flat, dtype=np.bool_)
    elif info.dtype in _INTEGERS:
        _check_kinds(where, flat, info.dtype, {int})
        array = _integers(where, flat, info.dtype)
    elif info.dtype in _FLOATS:
        _check_kinds(where, flat, info.dtype, {int, float})
        array = _floats(where, flat, info.dtype)
    else:
        raise RequestError("UNIMPLEMENTED", f"{where}: expected a dtype that JSON can express. Received: {info.dtype}")
    return array.reshape(shape)


def _flatten(where: str, value: Any) -> tuple[list[Any], list[int]]:
    """The leaves of nested lists, and the sizes of the lists from the outside in."""
    shape: list[int] = []
    level = [value]
    while any(isinstance(item, list) for item in level):
        if not all(isinstance(item, list) for item in level):
            raise _invalid(f"{where}: expected lists of one depth. Received: values beside lists")
        sizes = {len(item) for item in level}
        if len(sizes) > 1:
            raise _invalid(
                f"{where}: expected lists of one length at each depth. "
                f"Received: ragged lists of {min(sizes)} and {max(sizes)} values"
            )
        shape.append(sizes.pop())
        level = list(itertools.chain.from_iterable(level))
    return level, shape


def _check_kinds(where: str, flat: list[Any], dtype: str, kinds: set[type]) -> None:
    # The exact type, since Python counts a boolean as an integer and JSON does not.
    if set(map(type, flat)) <= kinds:
        return
    wrong = next(leaf for leaf in flat if type(leaf) not in kinds)
    raise _invalid(f"{where}: expected values of the type {dtype}. Received: {_kind(wrong)} {_show(wrong)}")


def _integers(where: str, flat: list[int], dtype: str) -> np.ndarray:
    limits = np.iinfo(dtype)
    for value in (min(flat, default=0), max(flat, default=0)):
        if not limits.min <= value <= limits.max:
            raise _invalid(
                f"{where}: expected values of the type {dtype}, {limits.min} to {limits.max}. Received: {_show(value)}"
            )
    return np.array(flat, dtype=dtype)


def _floats(where: str, flat: list[int | float], dtype: str) -> np.ndarray:
    try:
        exact = np.array(flat, dtype=np.float64)
    except OverflowError:
        raise _invalid(
            f"{where}: expected values of the type {dtype}. Received: an integer that is out of range"
        ) from None
    with np.errstate(over="ignore"):
        array = exact.astype(np.float32 if dtype == "bfloat16" else dtype)
    overflown = np.isinf(array) & ~np.isinf(exact)
    if overflown.any():
        beyond = float(exact[overflown][0])
        raise _invalid(f"{where}: expected values of the type {dtype}. Received: {beyond}, which is out of range")
    return array


def _bytes(where: str, leaf: Any) -> bytes:
    """The bytes that a JSON string, or an object {"b64": ...}, stands for."""
    if isinstance(leaf, str):
        try:
            return leaf.encode("utf-8")
        except UnicodeEncodeError:
            raise _invalid(f"{where}: expected Unicode text. Received: half of a surrogate pair") from None
    if _is_base64(leaf):
        try:
            return base64.b64decode(leaf["b64"], validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise _invalid(f"{where}: expected base64 as b64. Received: {_show(leaf['b64'])}") from None
    raise _invalid(f'{where}: expected strings or {{"b64": "..."}}. Received: {_kind(leaf)} {_show(leaf)}')


def _json(name: str, array: np.ndarray) -> Any:
    """An array as nested lists, or a scalar as its value."""
    if array.dtype.kind == "O":
        as_bytes = name.endswith("_bytes")
        leaves: list[Any] = [_text(leaf, as_bytes) for leaf in array.ravel()]
        texts = np.empty(len(leaves), dtype=object)
        texts[:] = leaves
        return texts.reshape(array.shape).tolist()
    if array.dtype in (np.float16, np.float32):
        # The shortest decimals that are the same float32: 0.1, not 0.10000000149011612.
        shortest = [float(decimal) for decimal in map(str, array.ravel())]
        return np.array(shortest, dtype=np.float64).reshape(array.shape).tolist()
    if array.dtype.kind in "biuf":
        return array.tolist()
    raise RequestError(
        "UNIMPLEMENTED", f"output {_show(name)}: expected a dtype that JSON can express. Received: {array.dtype}"
    )


def _text(value: bytes, as_bytes: bool) -> str | dict[str, str]:
    if not as_bytes:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(value).decode("ascii")}


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _invalid(message: str) -> RequestError:
    return RequestError("INVALID_ARGUMENT", message)
