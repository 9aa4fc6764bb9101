"""A LiteRT model in a version folder, as TensorFlow Serving runs it with its flag --prefer_tflite_model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from kbert.inference.litert_model import interpreter
from kbert.serving.request_error import invalid
from kbert.serving.signature_names import DEFAULT_SIGNATURE

FILE_NAME = "model.tflite"
_METHOD = "tensorflow/serving/predict"


class LiteRtFileModel:
    """The LiteRT model of a version folder. Its inputs take the shapes of each request.

    Args:
        folder: The folder that holds model.tflite.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not a LiteRT model.
    """

    def __init__(self, folder: Path) -> None:
        self._content = (folder / FILE_NAME).read_bytes()
        self._idle: SimpleQueue[Any] = SimpleQueue()
        first = interpreter(self._content, 1)
        self._places = _places(first)
        details = {each["index"]: each for each in first.get_tensor_details()}
        self.signatures: Mapping[str, Any] = {
            name: _signature(inputs, outputs, details) for name, (inputs, outputs) in self._places.items()
        }
        self._idle.put(first)

    def run(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """See `ServedModel.run`."""
        given, found = self._places[signature_name]
        try:
            model = self._idle.get_nowait()
        except Empty:
            model = interpreter(self._content, 1)
        try:
            for name, array in inputs.items():
                model.resize_tensor_input(given[name], array.shape)
            model.allocate_tensors()
            for name, array in inputs.items():
                model.set_tensor(given[name], array)
            model.invoke()
            return {name: np.array(model.get_tensor(found[name])) for name in outputs or sorted(found)}
        except (ValueError, RuntimeError) as problem:
            raise invalid(
                f"the LiteRT model cannot compute the request: {' '.join(str(problem).split()):.200}"
            ) from None
        finally:
            self._idle.put(model)

    def close(self) -> None:
        """See `ServedModel.close`."""
        self._idle = SimpleQueue()


def _places(model: Any) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    """Returns the tensors of the inputs and outputs of each signature, by name.

    A model without signatures has the signature `serving_default`, with the names of its tensors.
    """
    signatures = model._get_full_signature_list()
    if signatures:
        return {name: (each["inputs"], each["outputs"]) for name, each in signatures.items()}
    return {
        DEFAULT_SIGNATURE: (
            {each["name"]: each["index"] for each in model.get_input_details()},
            {each["name"]: each["index"] for each in model.get_output_details()},
        )
    }


def _signature(inputs: Mapping[str, int], outputs: Mapping[str, int], details: Mapping[int, Any]) -> Any:
    import tensorflow as tf
    from tensorflow.core.protobuf import meta_graph_pb2

    signature = meta_graph_pb2.SignatureDef(method_name=_METHOD)
    for target, tensors in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for name, index in tensors.items():
            info = target[name]
            info.name = details[index]["name"]
            info.dtype = tf.dtypes.as_dtype(np.dtype(details[index]["dtype"])).as_datatype_enum
            for size in details[index]["shape_signature"]:
                info.tensor_shape.dim.add(size=int(size))
    return signature
