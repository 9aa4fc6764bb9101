"""Classification and regression of tf.Example protocol buffers, as TensorFlow Serving defines them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kbert.serving.request_error import RequestError, invalid
from kbert.serving.signature_names import (
    CLASSES,
    CLASSIFY_METHOD,
    DEFAULT_SIGNATURE,
    EXAMPLES,
    REGRESS_METHOD,
    SCORES,
    VALUES,
)
from kbert.serving.tensor_protos import array_dtype, dtype_name

Outputs = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Classes:
    """The classes of each example with their scores, the columns of a row in the order of the model."""

    labels: np.ndarray | None
    """Bytes, object [B, C]; None if the model returns scores only."""
    scores: np.ndarray | None
    """float32 [B, C]; None if the model returns labels only."""

    def rows(self) -> list[list[tuple[bytes, float]]]:
        """Returns a list of (label, score) for each example; what the model does not return is empty or 0."""
        shape = (
            self.labels.shape if self.labels is not None else self.scores.shape if self.scores is not None else (0, 0)
        )
        labels = np.full(shape, b"", dtype=object) if self.labels is None else self.labels
        scores = np.zeros(shape, np.float32) if self.scores is None else self.scores
        return [
            [(label, float(score)) for label, score in zip(*row, strict=True)]
            for row in zip(labels, scores, strict=True)
        ]


def serialized_examples(input_: Any) -> np.ndarray:
    """Returns the examples of a request, serialized, as an object array of bytes [B].

    Args:
        input_: The message Input of TensorFlow Serving.

    Raises:
        RequestError: There is no example.
    """
    kind = input_.WhichOneof("kind")
    if kind == "example_list":
        examples = [each.SerializeToString() for each in input_.example_list.examples]
    elif kind == "example_list_with_context":
        # Two serialized messages in a row are their union, so the context belongs to each example.
        context = input_.example_list_with_context.context.SerializeToString()
        examples = [context + each.SerializeToString() for each in input_.example_list_with_context.examples]
    else:
        examples = []
    if not examples:
        raise invalid("Input is empty.")
    array = np.empty(len(examples), dtype=object)
    array[:] = examples
    return array


def find_examples_signature(signatures: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """Returns a signature for classification or regression with its name.

    Raises:
        RequestError: The model has no such signature.
    """
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in signatures:
        raise invalid(f"No signature was found with the name: {wanted:.60}")
    return wanted, signatures[wanted]


def classification_outputs(signature: Any) -> tuple[str, ...]:
    """Returns the outputs that a classification needs.

    Raises:
        RequestError: The signature cannot classify.
    """
    _check_one_input(signature)
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if EXAMPLES not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {_names(signature)}")
    outputs = tuple(name for name in (CLASSES, SCORES) if name in signature.outputs)
    if not outputs:
        raise invalid(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            f"Signature was: {_names(signature)}"
        )
    return outputs


def regression_outputs(signature: Any) -> tuple[str, ...]:
    """Returns the output that a regression needs.

    Raises:
        RequestError: The signature cannot regress.
    """
    _check_one_input(signature)
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if EXAMPLES not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {_names(signature)}")
    if VALUES not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {_names(signature)}")
    return (VALUES,)


OUTPUTS_OF_METHOD: Mapping[str, Callable[[Any], tuple[str, ...]]] = {
    CLASSIFY_METHOD: classification_outputs,
    REGRESS_METHOD: regression_outputs,
}
"""The function that returns the outputs of a signature which a method needs, by the name of the method."""


def classes_of(outputs: Outputs, count: int) -> Classes:
    """Returns the classes of all examples.

    Args:
        outputs: The outputs of the signature.
        count: The number of examples.

    Raises:
        RequestError: The outputs have other shapes or dtypes than those of a classification.
    """
    labels, scores = outputs.get(CLASSES), outputs.get(SCORES)
    for name, array, dtype in ((CLASSES, labels, "DT_STRING"), (SCORES, scores, "DT_FLOAT")):
        if array is None:
            continue
        if array.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        if (array.dtype.kind == "O") != (dtype == "DT_STRING") or (dtype == "DT_FLOAT" and array.dtype != np.float32):
            raise invalid(f"Expected {name} Tensor of {dtype}. Got: {_dtype(array)}")
        if len(array) != count:
            raise invalid(f"Expected {name} output batch size of {count}. Got: {len(array)}")
    if labels is not None and scores is not None and labels.shape[1] != scores.shape[1]:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {labels.shape[1]} vs. {scores.shape[1]}"
        )
    return Classes(labels, scores)


def values_of(outputs: Outputs, count: int) -> np.ndarray:
    """Returns the value of each example, float32 [B].

    Args:
        outputs: The outputs of the signature.
        count: The number of examples.

    Raises:
        RequestError: The output has another shape or dtype than that of a regression.
    """
    values = outputs[VALUES]
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(values)}"
        )
    if len(values) != count:
        raise invalid(f"Input batch size did not match output batch size: {count} vs. {len(values)}")
    if values.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_dtype(values)}")
    return values.reshape(-1)


def check_same_model(names: Sequence[str]) -> None:
    """Checks the models that the tasks of one request name.

    Raises:
        RequestError: A name is empty, or the names differ.
    """
    if "" in names:
        raise invalid("Found ModelSpec with an empty model name.")
    if len(set(names)) > 1:
        raise RequestError(
            "INVALID_ARGUMENT", "All ModelSpecs in a MultiInferenceRequest must access the same model name."
        )


def _check_one_input(signature: Any) -> None:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")


def _names(signature: Any) -> str:
    return f"inputs {', '.join(sorted(signature.inputs))}; outputs {', '.join(sorted(signature.outputs))}"


def _shape(array: np.ndarray) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"


def _dtype(array: np.ndarray) -> str:
    return dtype_name(array_dtype(array).as_datatype_enum)
