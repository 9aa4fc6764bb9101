"""One version of a SavedModel, loaded and ready to answer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.files import PathLike
from kbert.runtime.tensorflow import import_tensorflow
from kbert.serving.conversion import Signature, TensorInfo
from kbert.serving.request_error import RequestError

# Lines of TensorFlow's messages that say where in a graph something failed; the client never saw the graph.
_GRAPH_LINES = ("Graph execution error", "Detected at node", "<stack traces", 'File "', "[[")


class LoadedModel:
    """A SavedModel in memory; many threads may call it at once.

    Args:
        name: The name that clients know it by.
        version: Its version.
        path: The folder that holds saved_model.pb.

    Raises:
        Exception: Whatever TensorFlow raises for a SavedModel that it cannot load.
    """

    def __init__(self, name: str, version: int, path: PathLike) -> None:
        tf = _tensorflow()
        self.name = name
        self.version = version
        # The functions do not keep their variables alive; the loaded object does.
        self._loaded = tf.saved_model.load(os.fspath(path))
        self._functions = dict(self._loaded.signatures)
        self.signatures = {
            name: Signature(
                inputs=_tensors(function.structured_input_signature[1]),
                outputs=_tensors(function.structured_outputs),
            )
            for name, function in sorted(self._functions.items())
        }

    def signature(self, name: str) -> Signature:
        """The signature of that name.

        Raises:
            RequestError: There is none.
        """
        if name not in self.signatures:
            names = ", ".join(self.signatures) or "(the model has no signatures)"
            raise RequestError(
                "INVALID_ARGUMENT",
                f"expected signature_name to be one of: {names}. Received: {json.dumps(name[:60])}",
            )
        return self.signatures[name]

    def run(self, signature_name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature with one array for each of its inputs; strings are object arrays of bytes.

        Raises:
            RequestError: The graph refuses the values, or cannot go on with them.
        """
        tf = _tensorflow()
        info = self.signature(signature_name).inputs
        try:
            tensors = {
                name: tf.cast(array, tf.bfloat16)
                if info[name].dtype == "bfloat16"
                else tf.constant(array, dtype=info[name].dtype)
                for name, array in inputs.items()
            }
            outputs = self._functions[signature_name](**tensors)
            return {name: _numpy(tf, tensor) for name, tensor in sorted(outputs.items())}
        except tf.errors.OpError as problem:
            raise RequestError(canonical_code(problem), one_line(problem)) from None


def canonical_code(problem: BaseException) -> str:
    """The canonical name of what an exception stands for: TensorFlow's carry its number."""
    number = getattr(problem, "error_code", None)
    if number is None:
        return "NOT_FOUND" if isinstance(problem, FileNotFoundError) else "INTERNAL"
    from tensorflow import errors

    names = [name for name, value in vars(errors).items() if name.isupper() and value == number]
    return names[0] if names else "INTERNAL"


def one_line(problem: BaseException) -> str:
    """What an exception says, without line breaks and without TensorFlow's places in the graph."""
    message = str(getattr(problem, "message", problem)).partition("\n\t [[")[0]
    lines = [line.strip() for line in message.splitlines()]
    said = " ".join(line for line in lines if line and not line.startswith(_GRAPH_LINES))
    return said[:500] or type(problem).__name__


def _tensors(specs: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(spec.dtype.name, None if spec.shape.rank is None else tuple(spec.shape))
        for name, spec in sorted(specs.items())
    }


def _numpy(tf: Any, tensor: Any) -> np.ndarray:
    if tensor.dtype == tf.string:
        return np.asarray(tensor.numpy(), dtype=object)
    # NumPy has no bfloat16 of its own.
    return np.asarray((tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor).numpy())


def _tensorflow() -> Any:
    """TensorFlow, with the operations of TensorFlow Text, which kbert's SavedModels use."""
    import_tensorflow()
    import tensorflow as tf

    return tf
