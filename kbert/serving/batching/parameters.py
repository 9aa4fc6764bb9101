"""The parameters of batching, and the file in which TensorFlow Serving takes them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.serving.text_protos import parse_text, text_message_class

_WRAPPED = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
# The fields of TensorFlow Serving's message BatchingParameters
# (tensorflow_serving/servables/tensorflow/session_bundle_config.proto), which tensorflow-serving-api does not contain.
_FIELDS = {
    "max_batch_size": "Int64Value",
    "batch_timeout_micros": "Int64Value",
    "max_enqueued_batches": "Int64Value",
    "num_batch_threads": "Int64Value",
    "thread_pool_name": "StringValue",
    "allowed_batch_sizes": "repeated int64",
    "pad_variable_length_inputs": "bool",
    "enable_large_batch_splitting": "BoolValue",
    "max_execution_batch_size": "Int64Value",
    "mixed_priority_batching_policy": "StringValue",
}


@dataclasses.dataclass(frozen=True)
class BatchingParameters:
    """How requests are gathered into batches. Sizes are numbers of rows: texts, or examples."""

    max_batch_size: int = 1024
    """The largest request that is computed in one batch if `enable_large_batch_splitting` is off."""
    batch_timeout_micros: int = 0
    """The microseconds that a batch which is not full waits for further requests."""
    max_enqueued_batches: int = 10
    """The number of batches of the largest size that may wait; further requests are refused (UNAVAILABLE)."""
    num_batch_threads: int = 1
    """The number of batches that are computed at the same time."""
    allowed_batch_sizes: tuple[int, ...] = ()
    """If given, batches are filled up to the next of these sizes with copies of their first row."""
    pad_variable_length_inputs: bool = False
    """Whether requests whose arrays differ in their shapes are padded with their first value to one shape."""
    enable_large_batch_splitting: bool = True
    """Whether large requests are computed in several batches."""
    max_execution_batch_size: int = 32
    """The largest batch that is computed."""

    @property
    def limit(self) -> int:
        """The largest number of rows in a batch."""
        if self.enable_large_batch_splitting:
            return min(self.max_execution_batch_size, self.max_batch_size)
        return self.max_batch_size


def default_parameters() -> BatchingParameters:
    """Returns kbert's own parameters: they need no tuning for models of text on CPUs.

    A batch does not wait for requests: a thread that is free takes what has come meanwhile. Batches of 32 texts use the
    processor as well as larger ones, and let short requests through earlier.
    """
    return BatchingParameters(num_batch_threads=os.cpu_count() or 1)


def read_parameters(path: PathLike) -> BatchingParameters:
    """Reads a text file with the message BatchingParameters, as for TensorFlow Serving's --batching_parameters_file.

    Parameters that the file does not mention have TensorFlow Serving's defaults.

    Raises:
        ServingError: The file cannot be read, or its values contradict each other.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ServingError(f"expected a file of batching parameters. Received: {path} ({problem})") from None
    message = parse_text(text, text_message_class("BatchingParameters", _FIELDS), path)
    given: dict[str, Any] = {
        name: getattr(message, name).value
        for name in (*_WRAPPED, "enable_large_batch_splitting", "max_execution_batch_size")
        if message.HasField(name)
    }
    largest = given.get("max_batch_size", 1000)
    parameters = BatchingParameters(
        **{
            "max_batch_size": largest,
            "num_batch_threads": os.cpu_count() or 1,
            "enable_large_batch_splitting": False,
            "max_execution_batch_size": largest,
            **given,
            "allowed_batch_sizes": tuple(message.allowed_batch_sizes),
            "pad_variable_length_inputs": message.pad_variable_length_inputs,
        }
    )
    _check(parameters, path)
    return parameters


def _check(parameters: BatchingParameters, path: PathLike) -> None:
    for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads", "max_execution_batch_size"):
        if getattr(parameters, name) < 1:
            raise ServingError(f"{path}: expected {name} of at least 1. Received: {getattr(parameters, name)}")
    if parameters.batch_timeout_micros < 0:
        raise ServingError(
            f"{path}: expected batch_timeout_micros of at least 0. Received: {parameters.batch_timeout_micros}"
        )
    if parameters.max_execution_batch_size > parameters.max_batch_size:
        raise ServingError(
            f"{path}: expected max_execution_batch_size of at most max_batch_size, {parameters.max_batch_size}. "
            f"Received: {parameters.max_execution_batch_size}"
        )
    sizes = parameters.allowed_batch_sizes
    if sizes and sizes[-1] != parameters.limit:
        raise ServingError(
            f"{path}: Last entry in allowed_batch_sizes must match max_batch_size; last entry was {sizes[-1]}; "
            f"expected {parameters.limit}"
        )
    if list(sizes) != sorted(set(sizes)) or any(size < 1 for size in sizes):
        raise ServingError(
            f"{path}: expected allowed_batch_sizes that increase from 1 or more. Received: {list(sizes)}"
        )
