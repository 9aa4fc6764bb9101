"""One version of a SavedModel in memory."""

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

# Lines of TensorFlow's messages with places in the graph, which mean nothing to a client.
_GRAPH_LINES = ("Graph execution error", "Detected at node", "<stack traces", 'File "', "[[")


class LoadedModel:
    """A SavedModel in memory, which several threads may call at the same time.

    Args:
        name: The name of the model in requests.
        version: The version of the model.
        path: The folder that holds saved_model.pb.

    Raises:
        Exception: TensorFlow cannot load the SavedModel; the exceptions are those of TensorFlow.
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
            RequestError: The model has no signature of this name.
        """
        if name not in self.signatures:
            names = ", ".join(self.signatures) or "(the model has no signatures)"
            raise RequestError(
                "INVALID_ARGUMENT",
                f"expected signature_name to be one of: {names}. Received: {json.dumps(name[:60])}",
            )
        return self.signatures[name]

    def run(self, signature_name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature_name: The name of the signature.
            inputs: One array for each input, of its dtype and shape; strings are object arrays of bytes.

        Returns:
            One array for each output.

        Raises:
            RequestError: The values are invalid for the graph.
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
    """The name of gRPC's canonical code for an exception; exceptions of TensorFlow carry its number."""
    number = getattr(problem, "error_code", None)
    if number is None:
        return "NOT_FOUND" if isinstance(problem, FileNotFoundError) else "INTERNAL"
    from tensorflow import errors

    names = [name for name, value in vars(errors).items() if name.isupper() and value == number]
    return names[0] if names else "INTERNAL"


def one_line(problem: BaseException) -> str:
    """The message of an exception without line breaks and without places in TensorFlow's graph."""
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
    # NumPy has no bfloat16.
    return np.asarray((tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor).numpy())


def _tensorflow() -> Any:
    """TensorFlow, with the operations of TensorFlow Text, which kbert's SavedModels use."""
    import_tensorflow()
    import tensorflow as tf

    return tf
