"""Conversion of graphs to LiteRT models, and the interpreter that runs them."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from ai_edge_litert.tools import flatbuffer_utils

from kbert.errors import ExportError
from kbert.inference.litert_weights import collected_weights
from kbert.runtime.held_output import held_stderr, quiet_logger

_SIGNATURE = "serving_default"


def litert_model(
    function: Callable[..., dict[str, tf.Tensor]], signature: Sequence[tf.TensorSpec], quantize: str = "none"
) -> bytes:
    """Converts a function of tensors to a LiteRT model of built-in operations.

    Args:
        function: The function. Its weights are constants, or operands that kbert.inference.litert_weights returned.
        signature: The inputs, by name; unknown dimensions are None.
        quantize: The weights: "none" for float32, "float16", or "dynamic" for int8 with activations that are quantized
            while the model runs.

    Returns:
        The content of a .tflite file.

    Raises:
        ExportError: The function needs operations that are not built into LiteRT.
    """
    with quiet(), tempfile.TemporaryDirectory() as folder:
        _save(function, signature, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, [_SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            return bytes(converter.convert())
        except Exception as problem:  # the converter raises exceptions of several classes, some of them private
            raise ExportError(
                f"expected a model of LiteRT's built-in operations. Received: {' '.join(str(problem).split()):.300}"
            ) from None


def _save(function: Callable[..., dict[str, tf.Tensor]], signature: Sequence[tf.TensorSpec], folder: str) -> None:
    """Writes a function to a SavedModel whose large weights are variables."""
    module = tf.Module()
    with collected_weights() as weights:
        # tf.function would refuse the variables, since it traces a function that creates variables twice.
        traced = tf.compat.v1.wrap_function(function, signature)
    module.weights = weights
    named = tf.function(lambda *inputs: traced(*inputs), input_signature=signature, autograph=False)
    tf.saved_model.save(module, folder, signatures={_SIGNATURE: named.get_concrete_function()})


def named_tensors(content: bytes) -> bytes:
    """Returns a LiteRT model whose inputs and outputs are tensors with the names of the signature.

    The converter names them after operations. Programs that do not read signatures see these names.

    Args:
        content: The content of a .tflite file with one signature.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    (signature,) = model.signatureDefs
    tensors = model.subgraphs[signature.subgraphIndex].tensors
    for each in (*signature.inputs, *signature.outputs):
        tensors[each.tensorIndex].name = each.name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def interpreter(content: bytes, threads: int) -> Any:
    """Returns an interpreter of a LiteRT model.

    Args:
        content: The content of a .tflite file.
        threads: The number of threads of one computation.
    """
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        return Interpreter(model_content=content, num_threads=threads)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back notices of deprecation, of the converter and of the interpreter."""
    with quiet_logger("tensorflow"), warnings.catch_warnings(), held_stderr():
        warnings.simplefilter("ignore")
        yield
