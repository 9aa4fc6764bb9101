"""Reads the description of a SavedModel: its graph and its signatures, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kbert.errors import ServingError

SERVE_TAG = "serve"
_ASSETS = "saved_model_assets"


def read_meta_graph(folder: Path) -> Any:
    """Returns the MetaGraphDef for serving of a SavedModel.

    Args:
        folder: The folder that holds saved_model.pb or saved_model.pbtxt.

    Raises:
        ServingError: The file is missing or damaged, or it has no graph for serving.
    """
    saved_model = _read(folder)
    for meta_graph in saved_model.meta_graphs:
        # TensorFlow loads the first graph that has this tag and no other.
        if set(meta_graph.meta_info_def.tags) == {SERVE_TAG}:
            return meta_graph
    tags = [", ".join(each.meta_info_def.tags) for each in saved_model.meta_graphs]
    raise ServingError(
        f"expected a graph with the tag {SERVE_TAG} alone in {folder}. Received: the tags {'; '.join(tags) or '(none)'}"
    )


def asset_files(meta_graph: Any) -> list[Any]:
    """Returns the messages AssetFileDef of a model: the name of each file in `assets`, and the tensor that gets it."""
    from tensorflow.core.protobuf.meta_graph_pb2 import AssetFileDef

    if meta_graph.asset_file_def:
        return list(meta_graph.asset_file_def)
    # Models of TensorFlow 1 hold them in a collection.
    packed = meta_graph.collection_def[_ASSETS].any_list.value if _ASSETS in meta_graph.collection_def else ()
    result = []
    for each in packed:
        asset = AssetFileDef()
        each.Unpack(asset)
        result.append(asset)
    return result


def has_graph(folder: Path) -> bool:
    """Returns whether a folder holds the graph of a SavedModel, in any of its forms."""
    return any((folder / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"))


def _read(folder: Path) -> Any:
    from google.protobuf import message, text_format
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel()
    found = next((path for path in (folder / "saved_model.pb", folder / "saved_model.pbtxt") if path.exists()), None)
    if found is None:
        raise ServingError(f"expected saved_model.pb or saved_model.pbtxt in {folder}. Received: neither")
    try:
        if found.suffix == ".pb":
            saved_model.ParseFromString(found.read_bytes())
        else:
            text_format.Parse(found.read_text(encoding="utf-8"), saved_model)
    except (message.DecodeError, text_format.ParseError, UnicodeDecodeError) as problem:
        raise ServingError(
            f"expected a SavedModel in {folder}. Received: a damaged {found.name} "
            f"({' '.join(str(problem).split()):.200})"
        ) from None
    return saved_model
