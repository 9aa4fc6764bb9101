"""The tables from which the inputs of a LiteRT model select rows, such as those of token embeddings."""

from __future__ import annotations

from typing import Any


def selected_rows(model: Any, subgraph: Any, tensor: int) -> int | None:
    """Returns the number of rows of the table from which an input selects, or None if it selects from no table.

    Larger values of the input are errors. If there are several tables, the number is that of the smallest.

    Args:
        model: The model.
        subgraph: The graph.
        tensor: The index of the input's tensor.
    """
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.BuiltinOperator
    same_values = {kinds.RESHAPE, kinds.CAST, kinds.SQUEEZE, kinds.EXPAND_DIMS, kinds.SLICE, kinds.STRIDED_SLICE}
    followed, rows = {tensor}, []
    for place in range(subgraph.OperatorsLength()):  # operators come after those whose outputs they read
        operator = subgraph.Operators(place)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # old files have only the second
        inputs = [operator.Inputs(each) for each in range(operator.InputsLength())]
        if kind in same_values and inputs[0] in followed:
            followed.add(operator.Outputs(0))
        elif kind == kinds.GATHER and inputs[1] in followed:
            options, table = schema.GatherOptions(), operator.BuiltinOptions()
            if table is not None:
                options.Init(table.Bytes, table.Pos)
            rows.append(subgraph.Tensors(inputs[0]).Shape(options.Axis() if table is not None else 0))
        elif kind == kinds.EMBEDDING_LOOKUP and inputs[0] in followed:
            rows.append(subgraph.Tensors(inputs[1]).Shape(0))
    return int(min(rows)) if rows else None
