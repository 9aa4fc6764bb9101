"""The digest of the weights of a model, by which models are compared."""

from __future__ import annotations

from pathlib import Path

from kbert import files
from kbert.files import PathLike
from kbert.model_folder.adapters.base import base_folder
from kbert.model_folder.adapters.folder import adapter_weights_files, is_adapter, read_adapter
from kbert.model_folder.hub import resolve
from kbert.model_folder.sentence_files import transformer_path
from kbert.model_folder.weights import weights_files


def weights_sha256(model: PathLike) -> str:
    """Returns SHA-256 of the weights of the encoder in a model folder, in hexadecimal digits.

    Args:
        model: A model folder, also of sentence-transformers; the folder of an adapter, whose own weights are included;
            or a model of the Hugging Face Hub.

    Raises:
        BundleError: The folder has no weights.
    """
    folder, own = Path(resolve(model)), []
    if is_adapter(folder):
        own += adapter_weights_files(folder)
        folder = base_folder(folder, read_adapter(folder).config)
    return files.file_sha256(*own, *weights_files(folder / transformer_path(folder)))
