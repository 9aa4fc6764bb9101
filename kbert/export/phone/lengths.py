"""LiteRT models for several sequence lengths in one file, which stores the weights once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_edge_litert.tools import flatbuffer_utils


def joined_models(contents: Mapping[str, bytes]) -> bytes:
    """Returns one LiteRT model with the graphs of several, and a signature for each.

    Buffers with the same content, such as weights, are stored once.

    Args:
        contents: The contents of .tflite files with one signature each, by the names of the new signatures.
    """
    (first_name, first), *others = contents.items()
    joined = flatbuffer_utils.read_model_from_bytearray(bytearray(first))
    _name_signature(joined, first_name)
    codes = {_code_key(code): index for index, code in enumerate(joined.operatorCodes)}
    buffers: dict[bytes, int] = {}
    for index, buffer in enumerate(joined.buffers):
        buffers.setdefault(_data(buffer), index)
    for name, content in others:
        model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        _name_signature(model, name)
        (graph,), (signature,) = model.subgraphs, model.signatureDefs
        for operation in graph.operators:
            code = model.operatorCodes[operation.opcodeIndex]
            operation.opcodeIndex = codes.setdefault(_code_key(code), len(joined.operatorCodes))
            if operation.opcodeIndex == len(joined.operatorCodes):
                joined.operatorCodes.append(code)
        for tensor in graph.tensors:
            buffer = model.buffers[tensor.buffer]
            tensor.buffer = buffers.setdefault(_data(buffer), len(joined.buffers))
            if tensor.buffer == len(joined.buffers):
                joined.buffers.append(buffer)
        signature.subgraphIndex = len(joined.subgraphs)
        joined.subgraphs.append(graph)
        joined.signatureDefs.append(signature)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(joined))


def _name_signature(model: Any, name: str) -> None:
    (signature,), (graph,) = model.signatureDefs, model.subgraphs
    signature.signatureKey = name
    graph.name = name


def _code_key(code: Any) -> tuple[Any, ...]:
    return code.builtinCode, code.customCode, code.version


def _data(buffer: Any) -> bytes:
    return b"" if buffer.data is None else bytes(buffer.data)
