"""The operations of a SavedModel's graph and of its functions, and the ways between them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Set
from typing import Any

from kbert.errors import ServingError

# These operations call one function with their inputs as its arguments, in their order. Others, such as If, do not.
_PLAIN_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_PASSES_ITS_INPUT = ("Identity", "StopGradient", "PreventGradient")
# TensorFlow replaces a function by another one that has the same value of this attribute.
_IMPLEMENTS = "api_implements"


class ModelGraph:
    """The operations of a graph and of its functions, by name.

    Args:
        meta_graph: The MetaGraphDef.

    Raises:
        ServingError: Two operations or functions have one name, so that it is not certain which one would run.
    """

    def __init__(self, meta_graph: Any) -> None:
        graph = meta_graph.graph_def
        self._functions = _by_name((each.signature.name, each) for each in graph.library.function)
        self._nodes = {"": _by_name((node.name, node) for node in graph.node)}
        for name, function in self._functions.items():
            self._nodes[name] = _by_name((node.name, node) for node in function.node_def)
        self._gradients: dict[str, list[str]] = collections.defaultdict(list)
        for each in graph.library.gradient:
            self._gradients[each.function_name].append(each.gradient_func)
        self._implementations: dict[bytes, list[str]] = collections.defaultdict(list)
        for name, function in self._functions.items():
            if _IMPLEMENTS in function.attr:
                self._implementations[function.attr[_IMPLEMENTS].s].append(name)
        self._concrete = meta_graph.object_graph_def.concrete_functions
        self._objects = meta_graph.object_graph_def.nodes
        self._calls: dict[str, list[tuple[Any, str]]] = collections.defaultdict(list)
        for caller, nodes in self._nodes.items():
            for node in nodes.values():
                for called in self._called(node):
                    self._calls[called].append((node, caller))

    def reached(self, roots: Iterable[str], functions: Iterable[str] = ()) -> Iterator[tuple[Any, str]]:
        """Yields the operations that run when `roots` run, each with the name of its function.

        The name is empty for operations outside of functions. All operations of a called function count, since those
        with side effects run whether or not an output needs them.

        Args:
            roots: The names of operations outside of functions.
            functions: The names of functions that may be called too.
        """
        waiting = [(name, "") for name in roots]
        entered: set[str] = set()
        to_enter = list(functions)
        seen: set[tuple[str, str]] = set()
        while waiting or to_enter:
            while to_enter:
                function = to_enter.pop()
                if function in self._functions and function not in entered:
                    entered.add(function)
                    waiting += [(each, function) for each in self._nodes[function]]
                    to_enter += self._related(function)
            place = waiting.pop() if waiting else ("", "")
            name, function = place
            node = None if place in seen else self._nodes[function].get(name)
            seen.add(place)
            if node is None:
                continue  # an argument of the function
            yield node, function
            waiting += [(node_name(source), function) for source in node.input]
            to_enter += self._called(node)

    def comes_from(self, tensor: str, function: str, sources: Set[str]) -> bool:
        """Returns whether the value of a tensor is always that of one of the sources.

        Args:
            tensor: The name of a tensor, as an operation names its input.
            function: The function of this operation; empty outside of functions.
            sources: The names of tensors outside of functions, whose values the loader chooses.
        """
        waiting = [(tensor, function)]
        seen: set[tuple[str, str]] = set()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            tensor, function = place
            if not function and _with_index(tensor) in map(_with_index, sources):
                continue
            node = self._nodes[function].get(node_name(tensor))
            if node is not None and node.op in _PASSES_ITS_INPUT:
                waiting.append((node.input[0], function))
                continue
            if node is not None:
                given = self._assigned(node, function) if node.op == "ReadVariableOp" else None
            else:
                given = self._arguments(function, tensor) if function else None
            if not given:
                return False
            waiting += given
        return True

    def _assigned(self, read: Any, function: str) -> list[tuple[str, str]] | None:
        """Returns the tensors that are assigned to the variable that an operation reads; None if not all are known.

        TensorFlow 2 keeps the paths of assets in variables, which the initialization assigns and reads.
        """
        handle = self._nodes[""].get(node_name(read.input[0])) if not function else None
        if handle is None or handle.op != "VarHandleOp" or not handle.attr["shared_name"].s:
            return None
        given = []
        for caller, nodes in self._nodes.items():
            for node in nodes.values():
                if "VarHandle" in node.op and node is not handle and not _is_other_variable(node, handle):
                    return None
                if caller or handle.name not in map(node_name, (each for each in node.input if each[:1] != "^")):
                    continue
                if node.op == "AssignVariableOp" and node_name(node.input[0]) == handle.name:
                    given.append((node.input[1], ""))
                elif node.op not in ("ReadVariableOp", "VarIsInitializedOp"):
                    return None
        return given

    def _arguments(self, function: str, argument: str) -> list[tuple[str, str]] | None:
        """Returns the tensors that all calls of a function pass as an argument; None if they are not known."""
        names = [each.name for each in self._functions[function].signature.input_arg]
        if argument not in names or _IMPLEMENTS in self._functions[function].attr:
            return None
        if any(function in gradients for gradients in self._gradients.values()):
            return None
        index = names.index(argument)
        given = []
        for node, caller in self._calls[function]:
            if node.op not in (*_PLAIN_CALLS, function) or index >= len(node.input):
                return None
            given.append((node.input[index], caller))
        if function in self._concrete:
            # The last arguments of a function that an object of the model holds are objects, too.
            bound = self._concrete[function].bound_inputs
            position = index - (len(names) - len(bound))
            if position < 0 or self._objects[bound[position]].WhichOneof("kind") != "asset":
                return None
        return given

    def _related(self, function: str) -> list[str]:
        """Returns the functions that may run instead of a function, or that its attributes name."""
        definition = self._functions[function]
        found = list(self._gradients[function])
        if _IMPLEMENTS in definition.attr:
            found += self._implementations[definition.attr[_IMPLEMENTS].s]
        for value in (*definition.attr.values(), *(each.default_value for each in definition.signature.attr)):
            found += self._named(value)
        return found

    def _called(self, node: Any) -> list[str]:
        """Returns the functions that an operation may call: those in its attributes, or the one whose name it has."""
        names = [node.op] if node.op in self._functions else []
        for value in node.attr.values():
            names += self._named(value)
        return names

    def _named(self, value: Any) -> list[str]:
        """Returns the functions that an attribute names, be it as a text."""
        kind = value.WhichOneof("value")
        if kind not in ("func", "list", "s"):
            return []
        functions = [value.func] if kind == "func" else list(value.list.func) if kind == "list" else []
        texts = [value.s] if kind == "s" else list(value.list.s) if kind == "list" else []
        names = [each.name for each in functions] + [text.decode("utf-8", "replace") for text in texts]
        found = [name for name in names if name in self._functions]
        for each in functions:
            for inner in each.attr.values():
                found += self._named(inner)
        return found


def node_name(tensor_name: str) -> str:
    """Returns the name of the operation that has a tensor as its output."""
    return tensor_name.removeprefix("^").partition(":")[0]


def _is_other_variable(node: Any, handle: Any) -> bool:
    name = node.attr["shared_name"]
    return node.op == "VarHandleOp" and bool(name.s) and name.s != handle.attr["shared_name"].s


def _with_index(tensor_name: str) -> str:
    return tensor_name if ":" in tensor_name else f"{tensor_name}:0"


def _by_name(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, item in items:
        if name in result:
            raise ServingError(f"expected different names in the graph. Received: the name {name!r:.80} twice")
        result[name] = item
    return result
