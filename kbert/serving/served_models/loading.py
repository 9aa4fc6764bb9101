"""Loads one version of a model: its graph is checked, and it answers requests before clients can reach it."""

from __future__ import annotations

from pathlib import Path

from kbert.errors import ServingError
from kbert.runtime.tensorflow import import_tensorflow
from kbert.serving.request_error import RequestError
from kbert.serving.served_models.graph_check import check_graph
from kbert.serving.served_models.object_model import ObjectModel
from kbert.serving.served_models.saved_model_file import has_graph, read_meta_graph
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
        check_graph(read_meta_graph(folder))
    model: ServedModel = SessionModel(folder, timeout=timeout)
    try:
        return model, warm_up(model, folder)
    except RequestError as problem:
        if _WITHOUT_VARIABLES not in str(problem):
            raise ServingError(f"expected an answer to each warm-up request. Received: {problem}") from None
    signatures = model.signatures
    model.close()
    if not trusted:
        # This loader may call any function of the model.
        check_graph(read_meta_graph(folder), whole_library=True)
    model = ObjectModel(folder, signatures)
    try:
        return model, warm_up(model, folder)
    except RequestError as problem:
        raise ServingError(f"expected an answer to each warm-up request. Received: {problem}") from None
