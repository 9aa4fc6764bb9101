"""The base of all models: the dtype policy, and reading and writing of model folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kbert import files
from kbert.layers.layer import FixedDtypePolicy

ModelT = TypeVar("ModelT", bound="PresetModel")


class ModelFolders(Protocol):
    """Reads and writes the models of presets, folders and KerasHub; `kbert.pretrained.presets` is one.

    Folders hold tokenizers and the settings of tasks, which models do not know. So that models import nothing of that,
    `kbert.pretrained` registers itself here when it is imported.
    """

    def from_preset(self, kind: Any, preset: str | files.PathLike, options: Mapping[str, Any]) -> Any:
        """See `PresetModel.from_preset`."""

    def save_to_preset(self, model: Any, folder: files.PathLike, tokenizer: Any, labels: list[str] | None) -> Path:
        """See `PresetModel.save_to_preset`."""

    def from_keras_hub(self, kind: Any, backbone: Any, options: Mapping[str, Any]) -> Any:
        """See `BertEncoder.from_keras_hub`."""

    def to_keras_hub(self, encoder: Any) -> Any:
        """See `BertEncoder.to_keras_hub`."""


_registered: list[ModelFolders] = []


def register_model_folders(folders: ModelFolders) -> None:
    """Makes `from_preset` and the other methods that read and write folders use `folders`."""
    _registered[:] = [folders]


def model_folders() -> ModelFolders:
    """Returns what was registered.

    Raises:
        RuntimeError: Nothing was; `kbert.BertEncoder` and the other names in `kbert` register it.
    """
    if not _registered:
        raise RuntimeError("expected `import kbert.pretrained.models` before folders are read. Received: none")
    return _registered[0]


class PresetModel(FixedDtypePolicy):
    """A Keras model that is made from a preset or a model folder, and saved to a model folder."""

    @classmethod
    def from_preset(cls: type[ModelT], preset: str | files.PathLike, **options: Any) -> ModelT:
        """Makes the model of a preset, with fresh weights, or of a folder, with its weights.

        If the folder has the head of this model, all weights are loaded. If not, the encoder is loaded, the head gets
        fresh weights, and one logged line says so.

        Args:
            preset: "tiny", "mini", "small", "base", …; a model folder; or "hf://owner/name" of the Hugging Face Hub.
            options: The options of `BertEncoder` (`dtype`, `seed`, `remat`, …), and those of the head that the folder
                does not give, such as `classes`. A preset also accepts `vocab_size`.

        Example:
            >>> encoder = kbert.BertEncoder.from_preset("tiny")
            >>> model = kbert.ClassificationModel.from_preset("RUN", classes=3)

        Raises:
            UsageError: There is no such preset or folder, or an option does not fit it.
            KbertError: The folder cannot be read.
        """
        return model_folders().from_preset(cls, preset, options)

    def save_to_preset(self, folder: files.PathLike, *, tokenizer: Any = None, labels: list[str] | None = None) -> Path:
        """Saves the model as a folder that `kbert.load_model`, `from_preset` and Hugging Face Transformers open.

        Args:
            folder: The folder to write. It may exist, but must not hold another model.
            tokenizer: A `kbert.Tokenizer` with the model's vocabulary. The default is that of the folder that the
                model came from.
            labels: The names of the classes, in the order of the logits. The default is those of the folder that the
                model came from.

        Example:
            >>> encoder = kbert.BertEncoder.from_preset("tiny", vocab_size=len(tokenizer.vocabulary))
            >>> folder = encoder.save_to_preset("encoder", tokenizer=tokenizer)

        Returns:
            The folder.

        Raises:
            UsageError: There is no tokenizer, or the tokenizer or the labels do not fit the model.
        """
        return model_folders().save_to_preset(self, folder, tokenizer, labels)
