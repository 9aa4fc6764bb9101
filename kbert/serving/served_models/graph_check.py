"""Refuses SavedModels whose graph could read or write files, or run Python code.

A SavedModel is a program. TensorFlow advises to run models of unknown origin in a sandbox
(https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md), since operations of a graph can read and write files
and send data. So the server follows every operation that it would run: those of the signatures, of the initialization
and of the restoration of variables. Reading the variables and the tables of the model's own `assets` is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Any

from kbert.errors import ServingError
from kbert.serving.served_models.model_graph import ModelGraph, node_name
from kbert.serving.served_models.operations import READS_TABLE, RESTORES, danger_of
from kbert.serving.served_models.saved_model_file import asset_files
from kbert.serving.signature_names import INIT_OP

_TRAIN_OP = "__saved_model_train_op"


def check_graph(meta_graph: Any, *, whole_library: bool = False) -> None:
    """Checks that a graph neither reads nor writes files other than its own, and runs no Python code.

    Args:
        meta_graph: The MetaGraphDef.
        whole_library: Whether to check all functions of the model rather than those that its signatures call. The
            functions that save and restore the variables are not counted.

    Raises:
        ServingError: It has such an operation.
    """
    graph = ModelGraph(meta_graph)
    assets = set()
    for asset in asset_files(meta_graph):
        if asset.filename.startswith("/") or ".." in asset.filename.split("/"):
            raise ServingError(
                f"expected assets in the folder of the model. Received: {asset.filename!r:.100}; the option "
                "trust_models serves models of known origin all the same"
            )
        assets.add(asset.tensor_info.name)
    # Only the initialization gets the names of the assets; elsewhere their tensors have values that the graph chose.
    _check_reached(graph, graph.reached(_answering(meta_graph)), assets=frozenset())
    _check_reached(graph, graph.reached(_initializing(meta_graph)), assets=assets)
    saver = meta_graph.saver_def
    restoring = [node_name(saver.restore_op_name)] if meta_graph.HasField("saver_def") else []
    _check_reached(graph, graph.reached(restoring), assets=frozenset(), variables={saver.filename_tensor_name})
    if whole_library:
        skipped = {node_name(name) for name in (saver.save_tensor_name, saver.restore_op_name)}
        nodes = [node.name for node in meta_graph.graph_def.node if node.name not in skipped]
        functions = list(meta_graph.object_graph_def.concrete_functions)
        _check_reached(graph, graph.reached(nodes, functions), assets=assets)


def _check_reached(
    graph: ModelGraph,
    reached: Iterable[tuple[Any, str]],
    *,
    assets: Set[str],
    variables: Set[str] = frozenset(),
) -> None:
    for node, function in reached:
        danger = danger_of(node)
        if node.op in RESTORES and variables and graph.comes_from(node.input[0], function, variables):
            continue  # the variables of the model
        if node.op in READS_TABLE and graph.comes_from(node.input[1], function, assets):
            continue
        if danger:
            raise ServingError(
                f"expected a graph that only computes. Received: the operation {node.op} ({node.name:.80}), which "
                f"{danger}; the option trust_models serves models of known origin all the same"
            )


def _answering(meta_graph: Any) -> Iterator[str]:
    """Yields the operations that a session runs to answer."""
    for name, signature in meta_graph.signature_def.items():
        if name not in (INIT_OP, _TRAIN_OP):
            for tensor in signature.outputs.values():
                yield from _names_of(tensor)


def _initializing(meta_graph: Any) -> Iterator[str]:
    """Yields the operations that a session runs to initialize the model."""
    for tensor in meta_graph.signature_def[INIT_OP].outputs.values() if INIT_OP in meta_graph.signature_def else ():
        yield from _names_of(tensor)
    for key in ("saved_model_main_op", "legacy_init_op", "main_op", INIT_OP):
        for name in meta_graph.collection_def[key].node_list.value if key in meta_graph.collection_def else ():
            yield node_name(name)


def _names_of(tensor: Any) -> Iterator[str]:
    if tensor.WhichOneof("encoding") == "coo_sparse":
        sparse = tensor.coo_sparse
        yield from map(
            node_name, (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
        )
    elif tensor.WhichOneof("encoding") == "composite_tensor":
        for component in tensor.composite_tensor.components:
            yield from _names_of(component)
    else:
        yield node_name(tensor.name)
