"""A SavedModel in a session, as in TensorFlow Serving."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert.runtime.held_output import quiet_logger
from kbert.runtime.tensorflow import import_tensorflow
from kbert.serving.served_models.saved_model_file import SERVE_TAG
from kbert.serving.served_models.served_model import result_array
from kbert.serving.served_models.tensorflow_errors import request_error
from kbert.serving.signature_names import ANSWER_SIGNATURE, ENCODE_SIGNATURE

_SMALL = (ENCODE_SIGNATURE, ANSWER_SIGNATURE)
"""Signatures whose graphs are so small that waking other threads takes longer than the operations."""


class SessionModel:
    """A SavedModel whose signatures are run by a session.

    A session runs models of any origin, those of TensorFlow 1 too, and passes arrays of any shape to the graph. It
    needs less time for a call than the functions that `tf.saved_model.load` returns.

    Args:
        folder: The folder that holds the SavedModel.
        timeout: The seconds after which a call ends with DEADLINE_EXCEEDED; 0 for no limit.

    Raises:
        Exception: TensorFlow cannot load the SavedModel; the exceptions are those of TensorFlow.
    """

    def __init__(self, folder: Path, *, timeout: float = 0.0) -> None:
        import_tensorflow()
        import tensorflow as tf

        self._graph = tf.Graph()
        self._timeout_ms = round(timeout * 1000)
        self._callables: dict[tuple[str, tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}
        self._lock = threading.Lock()
        with quiet_logger("tensorflow"), self._graph.as_default():
            self._session = tf.compat.v1.Session(graph=self._graph)
            meta_graph = tf.compat.v1.saved_model.load(self._session, [SERVE_TAG], str(folder))
        self.signatures: Mapping[str, Any] = dict(meta_graph.signature_def)

    def run(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """See `ServedModel.run`."""
        import tensorflow as tf

        signature = self.signatures[signature_name]
        wanted = tuple(outputs) or tuple(sorted(signature.outputs))
        try:
            # The operation that initializes a model is among its signatures, and has no tensor to return.
            call = self._callable(signature_name, wanted)
            arrays = call(*(inputs[name] for name in sorted(signature.inputs)))
        except tf.errors.OpError as problem:
            raise request_error(problem) from None
        return {name: result_array(value) for name, value in zip(wanted, arrays, strict=True)}

    def close(self) -> None:
        """See `ServedModel.close`."""
        self._callables.clear()
        self._session.close()

    def _callable(self, signature_name: str, outputs: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        key = (signature_name, outputs)
        with self._lock:
            if key not in self._callables:
                self._callables[key] = self._made_callable(signature_name, outputs)
            return self._callables[key]

    def _made_callable(self, signature_name: str, outputs: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        from tensorflow.core.protobuf import config_pb2

        from kbert.inference.session_function import CALLERS_THREAD

        signature = self.signatures[signature_name]
        options = config_pb2.CallableOptions()
        options.feed.extend(signature.inputs[name].name for name in sorted(signature.inputs))
        options.fetch.extend(signature.outputs[name].name for name in outputs)
        options.run_options.timeout_in_ms = self._timeout_ms
        if signature_name in _SMALL:
            options.run_options.inter_op_thread_pool = CALLERS_THREAD
        with self._graph.as_default():
            # Session.make_callable refuses shapes that the signature does not declare, unlike TensorFlow Serving.
            return self._session._make_callable_from_options(options)
