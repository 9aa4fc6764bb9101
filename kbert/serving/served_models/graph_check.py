"""Refuses SavedModels whose graph could read or write files, or run Python code.

A SavedModel is a program. TensorFlow advises to run models of unknown origin in a sandbox
(https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md), since operations of a graph can read and write files
and send data. So the server follows every operation that it would run: those of the signatures, of the initialization
and of the restoration of variables. Reading the variables and the tables of the model's own `assets` is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kbert.errors import ServingError
from kbert.serving.signature_names import INIT_OP

_PYTHON = re.compile(r"(Eager)?PyFunc(Stateless)?")
_FILES = re.compile(
    r"ReadFile|WriteFile|MatchingFiles|WholeFileReader.*|TextLineReader.*|FixedLengthRecordReader.*|TFRecordReader.*"
    r"|LMDBReader|.*TextLineDataset.*|.*FixedLengthRecordDataset.*|TFRecordDataset.*|LMDBDataset.*|.*SqlDataset"
    r"|.*LoadDataset.*|.*SaveDataset.*|.*SnapshotDataset.*|ListSnapshotChunksDataset|CacheDataset.*"
    r"|Save|SaveV2|SaveSlices|Restore|RestoreSlice|RestoreV2|MergeV2Checkpoints|DeleteOldFiles"
    r"|LoadAndRemapMatrix|GenerateVocabRemapping|ImmutableConst|FileSystemSetConfiguration"
    r"|CreateSummaryFileWriter|CreateSummaryDbWriter|DebugIdentity.*|DebugNanCount.*|DebugNumericSummary.*"
    r"|.*DataServiceDataset.*|RegisterDataset.*|RpcCall|RpcClient|RpcServer.*|RemoteCall|BigQuery.*|GcsConfigure.*"
)
_TABLE_FROM_FILE = re.compile(r"InitializeTableFromTextFile(V2)?")
# The restoration reads the variables of the model.
_ALLOWED_IN_RESTORATION = "RestoreV2"
_PASSES_ITS_INPUT = ("Identity", "StopGradient", "PreventGradient")


def check_graph(meta_graph: Any, *, whole_library: bool = False) -> None:
    """Checks that a graph neither reads nor writes files other than its own, and runs no Python code.

    Args:
        meta_graph: The MetaGraphDef.
        whole_library: Whether to check all functions of the model rather than those that its signatures call. The
            functions that save and restore the variables are not counted.

    Raises:
        ServingError: It has such an operation.
    """
    graph = _Graph(meta_graph)
    restoring = _restoring(meta_graph)
    running = list(_running(meta_graph))
    if whole_library:
        running += [node.name for node in meta_graph.graph_def.node if node.name not in _saver_nodes(meta_graph)]
    for roots, allowed in ((running, ""), (restoring, _ALLOWED_IN_RESTORATION)):
        for node, function in graph.reached(roots):
            if node.op == allowed:
                continue
            if _PYTHON.fullmatch(node.op):
                raise _refusal(node, "runs Python code")
            if _FILES.fullmatch(node.op) or (
                node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file:")
            ):
                raise _refusal(node, "accesses files or the network")
            if _TABLE_FROM_FILE.fullmatch(node.op) and not graph.reads_asset(node, function):
                raise _refusal(node, "reads a file that is not one of the model's assets")


class _Graph:
    """The operations of a graph and of its functions, by name."""

    def __init__(self, meta_graph: Any) -> None:
        graph = meta_graph.graph_def
        self._nodes = {node.name: node for node in graph.node}
        self._functions = {each.signature.name: each for each in graph.library.function}
        self._function_nodes: dict[str, dict[str, Any]] = {}
        self._gradients = {each.function_name: each.gradient_func for each in graph.library.gradient}
        self._assets = {_node_name(asset.tensor_info.name) for asset in meta_graph.asset_file_def}
        for asset in meta_graph.asset_file_def:
            if asset.filename.startswith("/") or ".." in asset.filename.split("/"):
                raise ServingError(
                    f"expected assets in the folder of the model. Received: {asset.filename!r:.100}; the option "
                    "trust_models serves models of known origin all the same"
                )

    def reached(self, roots: Iterable[str]) -> Iterator[tuple[Any, str]]:
        """Yields the operations that run when `roots` run, each with the name of its function.

        The name is empty for operations outside of functions. All operations of a called function count, since those
        with side effects run whether or not an output needs them.
        """
        waiting = [(name, "") for name in roots]
        seen: set[tuple[str, str]] = set()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            name, function = place
            node = self._nodes_of(function).get(name)
            if node is None:
                continue  # an argument of the function
            yield node, function
            waiting += [(_node_name(source), function) for source in node.input]
            for called in _called(node):
                waiting += [(each, called) for each in self._nodes_of(called)] if called in self._functions else []
                gradient = self._gradients.get(called, "")
                waiting += [(each, gradient) for each in self._nodes_of(gradient)] if gradient else []

    def reads_asset(self, node: Any, function: str) -> bool:
        """Returns whether the file name of a table is one of the model's assets.

        In a function, the file name must be an argument that is an asset in all calls of the function.
        """
        name = _node_name(node.input[1])
        if not function:
            return self._is_asset(name)
        arguments = [argument.name for argument in self._functions[function].signature.input_arg]
        calls = [each for each in self._nodes.values() if function in _called(each)]
        if name not in arguments or not calls:
            return False
        return all(self._is_asset(_node_name(call.input[arguments.index(name)])) for call in calls)

    def _is_asset(self, name: str) -> bool:
        while name not in self._assets:
            node = self._nodes.get(name)
            if node is None or node.op not in _PASSES_ITS_INPUT:
                return False
            name = _node_name(node.input[0])
        return True

    def _nodes_of(self, function: str) -> dict[str, Any]:
        if not function:
            return self._nodes
        if function not in self._function_nodes:
            found = self._functions.get(function)
            self._function_nodes[function] = {} if found is None else {node.name: node for node in found.node_def}
        return self._function_nodes[function]


def _running(meta_graph: Any) -> Iterator[str]:
    """Yields the operations that a session runs to initialize the model and to answer."""
    for signature in meta_graph.signature_def.values():
        for tensor in signature.outputs.values():
            yield from _names_of(tensor)
    for key in ("saved_model_main_op", "legacy_init_op", "main_op", INIT_OP):
        for name in meta_graph.collection_def[key].node_list.value if key in meta_graph.collection_def else ():
            yield _node_name(name)


def _names_of(tensor: Any) -> Iterator[str]:
    if tensor.WhichOneof("encoding") == "coo_sparse":
        sparse = tensor.coo_sparse
        yield from map(
            _node_name, (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
        )
    elif tensor.WhichOneof("encoding") == "composite_tensor":
        for component in tensor.composite_tensor.components:
            yield from _names_of(component)
    else:
        yield _node_name(tensor.name)


def _restoring(meta_graph: Any) -> list[str]:
    return [_node_name(meta_graph.saver_def.restore_op_name)] if meta_graph.HasField("saver_def") else []


def _saver_nodes(meta_graph: Any) -> set[str]:
    saver = meta_graph.saver_def
    return {_node_name(name) for name in (saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name)}


def _called(node: Any) -> list[str]:
    """Returns the functions that an operation calls: those in its attributes, or the one whose name it has."""
    names = [node.op]
    for value in node.attr.values():
        if value.WhichOneof("value") == "func":
            names.append(value.func.name)
        names += [function.name for function in value.list.func]
    return names


def _node_name(tensor_name: str) -> str:
    return tensor_name.removeprefix("^").partition(":")[0]


def _refusal(node: Any, what: str) -> ServingError:
    return ServingError(
        f"expected a graph that only computes. Received: the operation {node.op} ({node.name:.80}), which {what}; the "
        "option trust_models serves models of known origin all the same"
    )
