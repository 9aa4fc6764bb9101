"""Loads one version of a model: its graph is checked, and it answers requests before clients can reach it."""

from __future__ import annotations

from pathlib import Path

from kbert.errors import ServingError
from kbert.runtime.tensorflow import import_tensorflow
from kbert.serving.request_error import RequestError
from kbert.serving.served_models.graph_check import check_graph
from kbert.serving.served_models.litert_check import check_litert
from kbert.serving.served_models.litert_file_model import FILE_NAME as LITERT_FILE
from kbert.serving.served_models.litert_file_model import LiteRtFileModel
from kbert.serving.served_models.litert_model import ENCODER_PATH, LiteRtModel, has_encoder
from kbert.serving.served_models.object_model import ObjectModel
from kbert.serving.served_models.saved_model_file import asset_files, has_graph, read_meta_graph
from kbert.serving.served_models.served_model import ServedModel
from kbert.serving.served_models.session_model import SessionModel
from kbert.serving.served_models.warm_up import WarmUp, warm_up

# What a session says when the variables were saved in a way that it cannot restore; see ObjectModel.
_WITHOUT_VARIABLES = "Could not find variable"


def load_model(folder: Path, *, engine: str, timeout: float, trusted: bool) -> tuple[ServedModel, WarmUp]:
    """Loads a version, and lets it answer its warm-up requests.

    Args:
        folder: The folder of the version.
        engine: "tensorflow", "litert", or "auto" for LiteRT if the version has an encoder for it.
        timeout: The seconds after which a call of TensorFlow ends with an error; 0 for no limit.
        trusted: Whether the graph may access files or run Python code.

    Returns:
        The model, and what is known of its warm-up.

    Raises:
        ServingError: The graph is refused, the engine cannot run the version, or a warm-up request fails.
        Exception: TensorFlow cannot load the model; the exceptions are those of TensorFlow.
    """
    import_tensorflow()
    if engine == "litert" and not (folder / ENCODER_PATH).is_file():
        if not (folder / LITERT_FILE).is_file():
            raise ServingError(
                f"expected {ENCODER_PATH}, which kbert export saved-model --litert-encoder writes, or {LITERT_FILE} in "
                f"{folder}. Received: neither; the engine tensorflow runs the SavedModel"
            )
        if not trusted:
            check_litert(folder / LITERT_FILE)
        litert = LiteRtFileModel(folder)
        return litert, _warmed_up(litert, None)
    if not trusted:
        _check_graph(folder)
    model: ServedModel = SessionModel(folder, timeout=timeout)
    if engine != "tensorflow" and has_encoder(folder, model.signatures):
        if not trusted:
            check_litert(folder / ENCODER_PATH)
        model = LiteRtModel(model, folder)
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


def _check_graph(folder: Path) -> None:
    names = ("saved_model.pb", "saved_model.pbtxt")
    if has_graph(folder) and not any((folder / name).exists() for name in names):
        raise ServingError(
            f"expected saved_model.pb in {folder}. Received: saved_model.cpb, whose operations cannot be checked; the "
            "option trust_models serves models of known origin all the same"
        )
    meta_graph = read_meta_graph(folder)
    check_graph(meta_graph)
    inside = folder.resolve()
    for asset in asset_files(meta_graph):
        # Tables tell what is in the assets, so these must be files of the model.
        if inside not in (folder / "assets" / asset.filename).resolve().parents:
            raise ServingError(
                f"expected assets in the folder of the model. Received: {asset.filename!r:.100}, a link to another "
                "place; the option trust_models serves models of known origin all the same"
            )


def _warmed_up(model: ServedModel, folder: Path | None) -> WarmUp:
    """Lets a model answer its warm-up requests, and closes it if it cannot."""
    try:
        return warm_up(model, folder)
    except BaseException as problem:
        model.close()
        if not isinstance(problem, RequestError):
            raise
        kind = _WithoutVariables if _WITHOUT_VARIABLES in str(problem) else ServingError
        raise kind(f"expected an answer to each warm-up request. Received: {problem}") from None
