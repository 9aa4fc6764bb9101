"""The base class of model formats, which kbert's own formats and those of other packages implement.

docs/adding-a-format.md shows a complete example.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path

from kbert.conversion.batches import Batch, Outputs
from kbert.conversion.settings import ConversionSettings
from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle


class Format(abc.ABC):
    """A model format: how its models are found, read, written and run.

    `find` and `read` are required; `write` is required if `writes` is True. A module that defines a format must not
    import TensorFlow or Keras before one of these methods is called, because the command line lists all formats.
    """

    name: str
    """The name of the format for `--from` and `--to`."""
    looks_like: str
    """A description for messages, with the files by which a model is recognized, such as "a KerasHub preset
    (config.json and model.weights.h5)"."""
    writes: bool = True
    """Whether models can be converted to this format."""
    keeps_dtypes: bool = False
    """Whether tensors are stored in their own dtypes. Other formats store float32."""
    takes: tuple[str, ...] = ("lowercase",)
    """The options among "config", "vocab" and "lowercase" that `read` accepts. `convert` raises for the others."""
    inexact: Mapping[str, str] = {}
    """The outputs that the format's own programs compute differently from BERT, each with the reason."""

    @abc.abstractmethod
    def find(self, path: Path) -> Path | None:
        """Finds a model of this format.

        Args:
            path: The path that the user gave: a folder, a file, or the prefix of several files. It may not exist.

        Returns:
            The path to pass to `read`, or None if there is no model of this format.

        Raises:
            UsageError: A folder holds several models.
        """

    @abc.abstractmethod
    def read(self, place: Path, options: ConversionSettings) -> Bundle:
        """Reads a model.

        Args:
            place: The path that `find` returned.
            options: The user's options; messages for the user are appended to `options.notes`.

        Raises:
            KbertError: The model is incomplete, damaged, or not a BERT.
        """

    def write(self, bundle: Bundle, folder: Path, options: ConversionSettings) -> None:
        """Writes a model.

        Args:
            bundle: The model.
            folder: An empty folder. `find` must find the written model in it.
            options: The user's options, as for `read`.

        Raises:
            ConfigError: The format does not support such a model.
        """
        raise UsageError(f"the format {self.name} does not support writing; name another format with --to")

    def outputs(self, place: Path, bundle: Bundle, batches: Sequence[Batch]) -> list[Outputs]:
        """Computes the outputs of a model for each batch; a conversion compares those of source and destination.

        By default kbert's own model of the bundle computes them. A format overrides this method to run its own
        library's model, if that library is installed.

        Args:
            place: The path that `find` returned.
            bundle: The model that `read` returned.
            batches: The inputs.

        Returns:
            The outputs for each batch, by the names that kbert's models have (`sequence_output`, `pooled_output`,
            `logits`, `mlm_logits` and so on), without the values at padding (`Batch.inside`).
        """
        from kbert.conversion.parity import bundle_outputs  # imports Keras

        return bundle_outputs(bundle, batches)
