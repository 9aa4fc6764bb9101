"""Predict, as TensorFlow Serving defines it: the inputs and outputs of a signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kbert.serving.request_error import RequestError, invalid
from kbert.serving.signature_names import DEFAULT_SIGNATURE
from kbert.serving.tensor_protos import array_of

Arrays = dict[str, np.ndarray]


def find_signature(signatures: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """Returns a signature with its name; an empty name stands for `serving_default`.

    Raises:
        RequestError: The model has no such signature.
    """
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in signatures:
        # TensorFlow Serving's gRPC API has this code; its REST API has INVALID_ARGUMENT and other words.
        raise RequestError("FAILED_PRECONDITION", f'Serving signature key "{wanted:.60}" not found.')
    return wanted, signatures[wanted]


def complete_inputs(signature: Any, given: Mapping[str, np.ndarray]) -> Arrays:
    """Returns the inputs of a signature: the given ones, and the signature's defaults for the others.

    Raises:
        RequestError: An input is missing or unknown.
    """
    expected = set(signature.inputs)
    if len(given) > len(expected) or (len(given) < len(expected) and not signature.defaults):
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(expected)} len({_set(given)}) != "
            f"len({_set(expected)}). Sent extra: {_set(given.keys() - expected)}. Missing but required: "
            f"{_set(expected - given.keys())}."
        )
    complete = {}
    for name, info in sorted(signature.inputs.items()):
        if name in given:
            complete[name] = given[name]
        elif name in signature.defaults:
            complete[name] = array_of(name, signature.defaults[name])
        else:
            raise invalid(
                f"Signature input alias: {name}(feed name: {info.name}) not found in request and no default value "
                f"provided. Inputs expected to be in the set {_set(expected)}."
            )
    if given.keys() - expected:
        raise invalid(f"Inputs contains invalid name. Expected: {_set(expected)}. Received: {_set(given)}.")
    return complete


def wanted_outputs(signature: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the outputs that a request asks for, by name; all of the signature if it names none.

    Raises:
        RequestError: A name is unknown or repeated.
    """
    for index, name in enumerate(names):
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if name in names[:index]:
            raise invalid(f"duplicate output tensor alias: {name}")
    return tuple(sorted(names or signature.outputs))


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
