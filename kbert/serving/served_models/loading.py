"""Loads one version of a model: its graph is checked, and it answers requests before clients can reach it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kbert.errors import ServingError
from kbert.runtime.tensorflow import import_tensorflow
from kbert.serving.request_error import RequestError
from kbert.serving.served_models.graph_check import check_graph
from kbert.serving.served_models.object_model import ObjectModel
from kbert.serving.served_models.saved_model_file import asset_files, has_graph, read_meta_graph
from kbert.serving.served_models.served_model import ServedModel
from kbert.serving.served_models.session_model import SessionModel
from kbert.serving.served_models.warm_up import WarmUp, warm_up

# What a session says when the variables were saved in a way that it cannot restore; see ObjectModel.
_WITHOUT_VARIABLES = "Could not find variable"


def load_model(folder: Path, *, timeout: float, trusted: bool) -> tuple[ServedModel, WarmUp]:
    """Loads a SavedModel, and lets it answer its warm-up requests.

    Args:
        folder: The folder of the version.
        timeout: The seconds after which a call of the model ends with an error; 0 for no limit.
        trusted: Whether the graph may access files or run Python code.

    Returns:
        The model, and what is known of its warm-up.

    Raises:
        ServingError: The graph is refused, or a warm-up request fails.
        Exception: TensorFlow cannot load the model; the exceptions are those of TensorFlow.
    """
    import_tensorflow()
    is_chunked = has_graph(folder) and not any(
        (folder / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")
    )
    if is_chunked and not trusted:
        raise ServingError(
            f"expected saved_model.pb in {folder}. Received: saved_model.cpb, whose operations cannot be checked; the "
            "option trust_models serves models of known origin all the same"
        )
    if not trusted:
        meta_graph = read_meta_graph(folder)
        check_graph(meta_graph)
        _check_assets(folder, meta_graph)
    model = SessionModel(folder, timeout=timeout)
    try:
        return model, _warmed_up(model, folder)
    except _WithoutVariables:
        signatures = model.signatures
    if not trusted:
        # This loader may call any function of the model.
        check_graph(read_meta_graph(folder), whole_library=True)
    objects = ObjectModel(folder, signatures)
    return objects, _warmed_up(objects, folder)


class _WithoutVariables(ServingError):
    """The variables of a model have no values."""


def _warmed_up(model: ServedModel, folder: Path) -> WarmUp:
    """Lets a model answer its warm-up requests, and closes it if it cannot."""
    try:
        return warm_up(model, folder)
    except BaseException as problem:
        model.close()
        if not isinstance(problem, RequestError):
            raise
        kind = _WithoutVariables if _WITHOUT_VARIABLES in str(problem) else ServingError
        raise kind(f"expected an answer to each warm-up request. Received: {problem}") from None


def _check_assets(folder: Path, meta_graph: Any) -> None:
    """Checks that the assets are files of the model, since tables tell what is in them."""
    inside = folder.resolve()
    for asset in asset_files(meta_graph):
        path = (folder / "assets" / asset.filename).resolve()
        if inside not in path.parents:
            raise ServingError(
                f"expected assets in the folder of the model. Received: {asset.filename!r:.100}, a link to another "
                "place; the option trust_models serves models of known origin all the same"
            )
