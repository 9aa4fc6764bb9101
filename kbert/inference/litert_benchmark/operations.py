"""The operations of a LiteRT model that XNNPACK computes, and those that it leaves to LiteRT's own kernels.

LiteRT hands groups of operations to XNNPACK. Each group, a partition, becomes one operation DELEGATE, which is added to
the list of operations. The list still has the operations of the partition, and nothing says which they are. But
DELEGATE names all tensors that its partition reads and writes, so the partition consists of the operations from which
its outputs follow, back to its inputs.
"""

from __future__ import annotations

import collections
import dataclasses
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_DELEGATE = "DELEGATE"


@dataclasses.dataclass(frozen=True)
class Operations:
    """The operations of a graph.

    Args:
        total: The number of operations in the file.
        partitions: The number of groups that XNNPACK computes.
        outside: The numbers of the operations outside of these groups, by name.
    """

    total: int
    partitions: int
    outside: Mapping[str, int]

    def __add__(self, other: Operations) -> Operations:
        """Returns the operations of two graphs together."""
        outside = collections.Counter(self.outside) + collections.Counter(other.outside)
        return Operations(self.total + other.total, self.partitions + other.partitions, dict(outside))


def count_operations(content: bytes, subgraph: int, shapes: Mapping[int, Sequence[int]]) -> Operations:
    """Counts the operations of a graph in and outside of XNNPACK's partitions.

    Args:
        content: The content of a .tflite file.
        subgraph: The index of the graph.
        shapes: The shapes of its inputs by the indices of their tensors, for inputs whose shapes the file does not fix.

    Raises:
        ValueError: The content is not a LiteRT model.
        RuntimeError: LiteRT cannot run the graph.
    """
    from ai_edge_litert.interpreter import Interpreter

    # The interpreter lists the operations of the first graph only.
    interpreter = Interpreter(model_content=with_first_subgraph(content, subgraph))
    for index, shape in shapes.items():
        interpreter.resize_tensor_input(index, shape)
    interpreter.allocate_tensors()  # which hands operations to XNNPACK
    return split_operations(interpreter._get_ops_details())


def split_operations(details: Iterable[Mapping[str, Any]]) -> Operations:
    """Counts operations in and outside of partitions.

    Args:
        details: The operations, each with its `op_name`, and with the indices of tensors as `inputs` and `outputs`.
    """
    nodes = list(details)
    delegates = [node for node in nodes if node["op_name"] == _DELEGATE]
    plain = [node for node in nodes if node["op_name"] != _DELEGATE]
    producers = {int(tensor): place for place, node in enumerate(plain) for tensor in node["outputs"]}
    inside: set[int] = set()
    for delegate in delegates:
        read = set(map(int, delegate["inputs"]))
        wanted = [int(tensor) for tensor in delegate["outputs"]]
        while wanted:
            tensor = wanted.pop()
            place = producers.get(tensor)
            if tensor not in read and place is not None and place not in inside:
                inside.add(place)
                wanted.extend(map(int, plain[place]["inputs"]))
    outside = collections.Counter(node["op_name"] for place, node in enumerate(plain) if place not in inside)
    return Operations(len(plain), len(delegates), dict(outside.most_common()))


def with_first_subgraph(content: bytes, subgraph: int) -> bytes:
    """Returns a LiteRT model in which a graph has changed places with the first one.

    The indices in signatures stay as they were, so the result is only good for looking at its first graph.

    Args:
        content: The content of a .tflite file.
        subgraph: The index of the graph.
    """
    if subgraph == 0:
        return content
    from ai_edge_litert import schema_py_generated as schema

    table = schema.Model.GetRootAs(content, 0)._tab
    first = table.Vector(table.Offset(_SUBGRAPHS))
    other = first + _OFFSET.size * subgraph
    # An element of the vector is the distance from the element to the graph.
    changed = bytearray(content)
    _OFFSET.pack_into(changed, first, other + _OFFSET.unpack_from(content, other)[0] - first)
    _OFFSET.pack_into(changed, other, first + _OFFSET.unpack_from(content, first)[0] - other)
    return bytes(changed)


_OFFSET = struct.Struct("<I")
_SUBGRAPHS = 8
"""The place of the field `subgraphs` in the table of fields of a model."""
