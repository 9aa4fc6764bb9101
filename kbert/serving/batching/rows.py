"""Arrays of several requests become one, and the arrays of the answers are divided again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kbert.serving.request_error import RequestError, invalid

Arrays = Mapping[str, np.ndarray]


def row_count(inputs: Arrays) -> int:
    """Returns the number of rows of a request: the size of the first dimension of all of its arrays.

    Raises:
        RequestError: The arrays differ in it, or have no dimension.
    """
    sizes = {array.shape[:1] for array in inputs.values()}
    if () in sizes:
        raise invalid("Batching Run() input tensors must have at least one dimension.")
    if len(sizes) != 1:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in sorted(inputs.items()))
        raise invalid(f"Batching Run() input tensors must have equal 0th-dimension size. Received: the shapes {shapes}")
    return int(next(iter(sizes))[0])


def byte_length(inputs: Arrays) -> int:
    """Returns the length of the longest row in bytes of text, or in values if a request has no text."""
    longest = 0
    for array in inputs.values():
        if array.dtype.kind == "O":
            longest = max(longest, max(map(len, array.ravel()), default=0))
        elif array.size:
            longest = max(longest, array.size // max(1, array.shape[0]))
    return longest


def part(arrays: Arrays, start: int, stop: int) -> dict[str, np.ndarray]:
    """Returns some rows of all arrays."""
    return {name: array[start:stop] for name, array in arrays.items()}


def joined(requests: Sequence[Arrays], *, padded: bool, size: int) -> dict[str, np.ndarray]:
    """Returns the rows of all requests in one array for each input.

    Args:
        requests: The inputs of each request.
        padded: Whether arrays of several shapes are padded; the padding of an array is its first value.
        size: The number of rows; rows that are missing are copies of the first row, which there must be.

    Raises:
        RequestError: The shapes differ and `padded` is False, or an array to pad has no value.
    """
    result = {}
    for name in requests[0]:
        arrays = [request[name] for request in requests]
        if len({array.shape[1:] for array in arrays}) > 1:
            if not padded or len({array.ndim for array in arrays}) > 1:
                raise RequestError(
                    "FAILED_PRECONDITION",
                    f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. "
                    "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
                    "dimensions starting with the first dim.",
                )
            arrays = _padded(arrays)
        missing = size - sum(len(array) for array in arrays)
        if missing > 0:
            first = next(array for array in arrays if len(array))
            arrays.append(np.repeat(first[:1], missing, axis=0))
        result[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return result


def check_rows(outputs: Arrays, size: int) -> None:
    """Checks that all outputs have the rows of their batch.

    Raises:
        RequestError: An output has another number of rows.
    """
    for name, array in outputs.items():
        if array.ndim == 0:
            raise RequestError("FAILED_PRECONDITION", f"Batched output tensor has 0 dimensions (output {name})")
        if len(array) != size:
            raise RequestError(
                "FAILED_PRECONDITION",
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                f"tensors (output {name}: {len(array)} instead of {size})",
            )


def without_padding(outputs: Arrays, trimmed: Sequence[str], count: str) -> dict[str, np.ndarray]:
    """Cuts lists that are padded for a longer list of another request.

    Args:
        outputs: The outputs of one request.
        trimmed: The outputs whose second dimension holds lists.
        count: The output that holds the lengths of these lists.
    """
    if not trimmed:
        return dict(outputs)
    width = int(outputs[count].max(initial=0))
    return {name: array[:, :width] if name in trimmed else array for name, array in outputs.items()}


def stacked(parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Returns the outputs of a request that was computed in several parts; shorter lists are padded with 0 or ""."""
    if len(parts) == 1:
        return dict(parts[0])
    result = {}
    for name in parts[0]:
        arrays = [outputs[name] for outputs in parts]
        shape = np.max([array.shape[1:] for array in arrays], axis=0)
        result[name] = np.concatenate([_widened(array, tuple(shape)) for array in arrays])
    return result


def _padded(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    shape = np.max([array.shape[1:] for array in arrays], axis=0)
    result = []
    for array in arrays:
        if array.shape[1:] != tuple(shape):
            if array.size == 0:
                raise invalid("Got empty tensor in batch of non-empty tensors.")
            full = np.full((len(array), *shape), array.flat[0], dtype=array.dtype)
            full[tuple(slice(size) for size in array.shape)] = array
            array = full
        result.append(array)
    return result


def _widened(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == shape:
        return array
    full = np.full((len(array), *shape), b"" if array.dtype.kind == "O" else 0, dtype=array.dtype)
    full[tuple(slice(size) for size in array.shape)] = array
    return full
