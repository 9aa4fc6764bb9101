"""The base of all models: the dtype policy, and reading and writing of model folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from kbert import files
from kbert.layers.layer import refuse_policy_change

ModelT = TypeVar("ModelT", bound="PresetModel")


class PresetModel:
    """A Keras model that is made from a preset or a model folder, and saved to a model folder."""

    _dtype_policy: Any

    @property
    def input_dtype(self) -> str:
        """The dtype of floating-point inputs: float32, since only matrix products have a lower precision."""
        return "float32"

    @property
    def dtype_policy(self) -> Any:
        """The dtype policy."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        refuse_policy_change(self, value)

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
        from kbert.pretrained import presets

        return presets.from_preset(cls, preset, options)

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
        from kbert.pretrained import presets

        return presets.save_to_preset(self, folder, tokenizer, labels)
