"""The base class of all models: its dtype policy, and the methods that read and write model folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kbert import files
from kbert.layers.layer import FixedDtypePolicy

ModelT = TypeVar("ModelT", bound="PresetModel")


class ModelFolders(Protocol):
    """The functions that read and write models as presets, folders and KerasHub backbones.

    `kbert.pretrained.presets` implements them. Folders also hold tokenizers and the settings of tasks, which this
    package must not import; `kbert.pretrained` therefore registers its implementation here when it is imported.
    """

    def from_preset(self, model_class: Any, preset: str | files.PathLike, options: Mapping[str, Any]) -> Any:
        """Implements `PresetModel.from_preset`."""

    def save_to_preset(self, model: Any, folder: files.PathLike, tokenizer: Any, labels: list[str] | None) -> Path:
        """Implements `PresetModel.save_to_preset`."""

    def from_keras_hub(self, model_class: Any, backbone: Any, options: Mapping[str, Any]) -> Any:
        """Implements `BertEncoder.from_keras_hub`."""

    def to_keras_hub(self, encoder: Any) -> Any:
        """Implements `BertEncoder.to_keras_hub`."""


_registered: list[ModelFolders] = []


def register_model_folders(folders: ModelFolders) -> None:
    """Registers the functions that `from_preset` and the other methods for folders call."""
    _registered[:] = [folders]


def model_folders() -> ModelFolders:
    """Returns the registered functions.

    Raises:
        RuntimeError: Nothing is registered yet. Importing a model such as `kbert.BertEncoder` registers them.
    """
    if not _registered:
        raise RuntimeError("expected `import kbert.pretrained.models` before folders are read. Received: none")
    return _registered[0]


class PresetModel(FixedDtypePolicy):
    """A Keras model that can be created from a preset or a model folder, and saved as a model folder."""

    @classmethod
    def from_preset(cls: type[ModelT], preset: str | files.PathLike, **options: Any) -> ModelT:
        """Returns the model of a preset, with fresh weights, or of a model folder, with its weights.

        If the folder has the head of this model, all weights are loaded. Otherwise only the encoder is loaded, the head
        gets fresh weights, and a logged warning names the fresh parts.

        Args:
            preset: A preset ("tiny", "mini", "small", "base", …), a model folder, or a model of the Hugging Face Hub as
                "hf://owner/name".
            options: The options of `BertEncoder` (`dtype`, `seed`, `remat`, …), and those options of the head that the
                folder does not contain, such as `classes`. A preset also accepts `vocab_size`.

        Example:
            >>> encoder = kbert.BertEncoder.from_preset("tiny")
            >>> model = kbert.ClassificationModel.from_preset("RUN", classes=3)

        Raises:
            UsageError: The preset or folder does not exist, or an option does not fit it.
            KbertError: The folder is damaged or unreadable.
        """
        return model_folders().from_preset(cls, preset, options)

    def save_to_preset(self, folder: files.PathLike, *, tokenizer: Any = None, labels: list[str] | None = None) -> Path:
        """Saves the model as a folder that `kbert.load_model`, `from_preset` and Hugging Face Transformers open.

        Args:
            folder: The folder to write. It must not contain a different model.
            tokenizer: A `kbert.Tokenizer` with the vocabulary of the model. The default is the tokenizer of the folder
                that the model was loaded from.
            labels: The names of the classes, in the order of the logits. The default is the names in the folder that
                the model was loaded from.

        Example:
            >>> encoder = kbert.BertEncoder.from_preset("tiny", vocab_size=len(tokenizer.vocabulary))
            >>> folder = encoder.save_to_preset("encoder", tokenizer=tokenizer)

        Returns:
            The path of the folder.

        Raises:
            UsageError: The tokenizer is missing, or the tokenizer or the labels do not fit the model.
        """
        return model_folders().save_to_preset(self, folder, tokenizer, labels)
