"""Look-ups of embeddings in LiteRT models, in the form that ai-edge-quantizer can quantize.

LiteRT's converter writes a look-up as GATHER, whose table the quantizer leaves in float32. The token table is half of a
small model. EMBEDDING_LOOKUP computes the same, and its table can have weights in int8 or int4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils


def with_embedding_lookups(content: bytes) -> bytes:
    """Returns a LiteRT model with EMBEDDING_LOOKUP in place of each GATHER of rows of a constant float32 table.

    Args:
        content: The content of a .tflite file.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    lookup = schema.OperatorCodeT()
    lookup.builtinCode = lookup.deprecatedBuiltinCode = schema.BuiltinOperator.EMBEDDING_LOOKUP
    lookup.version = 1
    model.operatorCodes.append(lookup)
    for graph in model.subgraphs:
        for operation in graph.operators:
            if _is_lookup(model, graph, operation):
                table, rows = operation.inputs
                operation.inputs = np.array([rows, table], np.int32)
                operation.opcodeIndex = len(model.operatorCodes) - 1
                operation.builtinOptionsType, operation.builtinOptions = schema.BuiltinOptions.NONE, None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _is_lookup(model: Any, graph: Any, operation: Any) -> bool:
    if model.operatorCodes[operation.opcodeIndex].builtinCode != schema.BuiltinOperator.GATHER:
        return False
    table = graph.tensors[operation.inputs[0]]
    rows = graph.tensors[operation.inputs[1]]
    options = operation.builtinOptions
    return (
        table.type == schema.TensorType.FLOAT32
        and model.buffers[table.buffer].data is not None
        and len(table.shape) == 2
        and len(rows.shape) == 1
        and options.axis == 0
        and options.batchDims == 0
    )
