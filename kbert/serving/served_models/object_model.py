"""A SavedModel that only `tf.saved_model.load` can restore."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert.runtime.tensorflow import import_tensorflow
from kbert.serving.served_models.saved_model_file import SERVE_TAG
from kbert.serving.served_models.served_model import result_array
from kbert.serving.served_models.tensorflow_errors import request_error


class ObjectModel:
    """A SavedModel whose signatures are run as functions of TensorFlow 2.

    Some programs save a model in a way that leaves its variables without values in a session: `tf.saved_model.save` of
    a module that holds Keras layers does (https://github.com/tensorflow/tensorflow/issues/72963).

    Args:
        folder: The folder that holds the SavedModel.
        signatures: The SignatureDefs of the model, by name.

    Raises:
        Exception: TensorFlow cannot load the SavedModel; the exceptions are those of TensorFlow.
    """

    def __init__(self, folder: Path, signatures: Mapping[str, Any]) -> None:
        import_tensorflow()
        import tensorflow as tf

        # The functions do not keep their variables alive; the loaded object does.
        self._loaded: Any = tf.saved_model.load(os.fspath(folder), tags=[SERVE_TAG])
        self._functions = dict(self._loaded.signatures)
        self.signatures: Mapping[str, Any] = {name: signatures[name] for name in self._functions}

    def run(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """See `ServedModel.run`."""
        import tensorflow as tf

        try:
            tensors = {name: tf.constant(array) for name, array in inputs.items()}
            answers = self._functions[signature_name](**tensors)
        except (tf.errors.OpError, TypeError, ValueError) as problem:
            raise request_error(problem) from None
        return {name: result_array(answers[name].numpy()) for name in outputs or sorted(answers)}

    def close(self) -> None:
        """See `ServedModel.close`."""
        self._functions.clear()
        self._loaded = None
