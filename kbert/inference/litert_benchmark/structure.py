"""A child process that reads the structure of a LiteRT file: sizes, signatures, and the operations of each signature.

    python -m kbert.inference.litert_benchmark.structure < request.json

The request has the `path`, and optionally a `signature` and a `sequence_length`. LiteRT checks the file before it is
read, so all offsets in it are valid.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert.inference.litert_benchmark.child_process import answer_parent
from kbert.inference.litert_benchmark.operations import Operations, count_operations
from kbert.inference.litert_benchmark.shapes import fixed_shape
from kbert.inference.litert_benchmark.table_rows import selected_rows

NO_SIGNATURE = "serving_default"
"""The name under which the graph of a file without signatures is measured."""


def read_structure(request: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the structure of a LiteRT file, as JSON.

    Args:
        request: The `path` of the file; the `signature` whose operations are counted, or None for all; and the
            `sequence_length` of inputs whose shapes the file does not fix, or None.

    Returns:
        `weights`, the bytes of constants by dtype, and `signatures` by name, each with `inputs` and `operations`. An
        input has its `dtype`, its `shape` with -1 for sizes that the file does not fix, and the number of `rows` of the
        table from which it selects, or None. `operations` are None for other signatures, and if shapes are unknown.
        `has_signatures` is false if the only signature is made up.

    Raises:
        ValueError: The file is not a LiteRT model.
        RuntimeError: LiteRT cannot run it.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(request["path"]))
    content = Path(request["path"]).read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    named = _graphs_of_signatures(model)
    graphs = named or {NO_SIGNATURE: 0}
    signatures = {}
    for name, graph in graphs.items():
        inputs = _inputs(interpreter, name if named else None)
        subgraph = model.Subgraphs(graph)
        for each in inputs.values():
            each["rows"] = selected_rows(model, subgraph, each["index"])
        signatures[name] = {"inputs": inputs, "operations": None}
        shapes = {each["index"]: fixed_shape(each["shape"], request["sequence_length"]) for each in inputs.values()}
        if request["signature"] in (None, name) and None not in shapes.values():
            unknown = {each["index"]: shapes[each["index"]] for each in inputs.values() if -1 in each["shape"]}
            operations = _operations(content, model, graph, unknown)
            signatures[name]["operations"] = dataclasses.asdict(operations)
    return {"weights": _weights(model), "signatures": signatures, "has_signatures": bool(named)}


def _graphs_of_signatures(model: Any) -> dict[str, int]:
    signatures = [model.SignatureDefs(place) for place in range(model.SignatureDefsLength())]
    return {each.SignatureKey().decode("utf-8", "replace"): each.SubgraphIndex() for each in signatures}


def _inputs(interpreter: Any, signature: str | None) -> dict[str, dict[str, Any]]:
    """Returns the inputs of a signature by name, or those of the first graph under the names of their tensors."""
    import numpy as np

    if signature is not None:
        details = interpreter.get_signature_runner(signature).get_input_details()
    else:
        details = {each["name"]: each for each in interpreter.get_input_details()}
    return {
        name: {
            "index": int(each["index"]),
            "dtype": np.dtype(each["dtype"]).name,
            "shape": [int(size) for size in each["shape_signature"]],
        }
        for name, each in details.items()
    }


def _operations(content: bytes, model: Any, graph: int, shapes: Mapping[int, Any]) -> Operations:
    """Counts the operations of a graph, and of the graphs that its loops and conditions call."""
    counted = count_operations(content, graph, shapes)
    seen, waiting = {graph}, [graph]
    while waiting:
        for called in _called_graphs(model.Subgraphs(waiting.pop())):
            if called not in seen:
                seen.add(called)
                waiting.append(called)
                counted += count_operations(content, called, {})
    return counted


def _called_graphs(subgraph: Any) -> Iterator[int]:
    from ai_edge_litert import schema_py_generated as schema

    calls: dict[int, tuple[Any, list[str]]] = {
        schema.BuiltinOptions.WhileOptions: (schema.WhileOptions, ["CondSubgraphIndex", "BodySubgraphIndex"]),
        schema.BuiltinOptions.IfOptions: (schema.IfOptions, ["ThenSubgraphIndex", "ElseSubgraphIndex"]),
        schema.BuiltinOptions.CallOnceOptions: (schema.CallOnceOptions, ["InitSubgraphIndex"]),
    }
    for place in range(subgraph.OperatorsLength()):
        operator = subgraph.Operators(place)
        if operator.BuiltinOptionsType() in calls:
            kind, fields = calls[operator.BuiltinOptionsType()]
            options, table = kind(), operator.BuiltinOptions()
            options.Init(table.Bytes, table.Pos)
            yield from (int(getattr(options, field)()) for field in fields)


def _weights(model: Any) -> dict[str, int]:
    """Returns the bytes of constants by dtype, largest first. Constants that graphs share are counted once."""
    sizes: dict[int, tuple[str, int]] = {}
    for graph in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(graph)
        for place in range(subgraph.TensorsLength()):
            tensor = subgraph.Tensors(place)
            buffer = model.Buffers(tensor.Buffer())
            # Files of more than 2 GB have the data behind the model.
            size = buffer.Size() if buffer.Offset() > 1 else buffer.DataLength()
            if size:
                sizes.setdefault(tensor.Buffer(), (_dtype_names()[tensor.Type()], int(size)))
    weights: dict[str, int] = {}
    for dtype, size in sizes.values():
        weights[dtype] = weights.get(dtype, 0) + size
    return dict(sorted(weights.items(), key=lambda each: -each[1]))


@functools.cache
def _dtype_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


if __name__ == "__main__":
    answer_parent(read_structure)
