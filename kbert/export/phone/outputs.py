"""Removes outputs of LiteRT models."""

from __future__ import annotations

from ai_edge_litert.tools import flatbuffer_utils


def without_outputs(content: bytes, prefix: str) -> bytes:
    """Returns a LiteRT model without the outputs whose names in its signatures begin with a prefix.

    Args:
        content: The content of a .tflite file.
        prefix: The beginning of the names.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for signature in model.signatureDefs:
        kept = [each for each in signature.outputs if not each.name.decode().startswith(prefix)]
        graph = model.subgraphs[signature.subgraphIndex]
        wanted = {each.tensorIndex for each in kept}
        graph.outputs = [index for index in dict.fromkeys(graph.outputs) if index in wanted]
        signature.outputs = kept
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
