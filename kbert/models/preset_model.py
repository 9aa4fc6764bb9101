"""What every model of kbert shares: its dtype policy, and the way from and to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from kbert import files
from kbert.layers.layer import refuse_policy_change

ModelT = TypeVar("ModelT", bound="PresetModel")


class PresetModel:
    """A Keras model that is read from a preset or a folder, and saved to one."""

    _dtype_policy: Any

    @property
    def input_dtype(self) -> str:
        """Floats are taken as float32: products alone are of lower precision."""
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

        A folder with this model's head gives its weights. From one without it comes the encoder alone; the head has
        fresh weights, which one logged line says.

        Args:
            preset: "tiny", "mini", "small", "base", …; a model folder; or "hf://owner/name" of the Hugging Face Hub.
            options: Those of `BertEncoder` (`dtype`, `seed`, `remat`, …), and those of the head, such as `classes`,
                where the folder does not say them. With a preset also `vocab_size`.

        Example:
            >>> encoder = kbert.BertEncoder.from_preset("tiny")
            >>> model = kbert.ClassificationModel.from_preset("RUN", classes=3)

        Raises:
            UsageError: There is no such preset or folder, or an option does not fit it.
            KbertError: The folder cannot be read.
        """
        from kbert import presets

        return presets.from_preset(cls, preset, options)

    def save_to_preset(self, folder: files.PathLike, *, tokenizer: Any = None, labels: list[str] | None = None) -> Path:
        """Saves the model as a folder that `kbert.load_model`, `from_preset` and Hugging Face Transformers open.

        Args:
            folder: May exist; may hold no other model.
            tokenizer: A `kbert.Tokenizer` with the model's vocabulary. A model from a folder remembers that one's.
            labels: Names of the classes, in the order of the logits. A model from a folder remembers that one's.

        Example:
            >>> encoder = kbert.BertEncoder.from_preset("tiny", vocab_size=len(tokenizer.vocabulary))
            >>> folder = encoder.save_to_preset("encoder", tokenizer=tokenizer)

        Returns:
            The folder.

        Raises:
            UsageError: No tokenizer is known, or it or the labels do not fit the model.
        """
        from kbert import presets

        return presets.save_to_preset(self, folder, tokenizer, labels)
