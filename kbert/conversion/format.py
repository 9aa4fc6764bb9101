"""What a format of models is: the protocol that each of kbert's formats, and any of another package, follows.

docs/adding-a-format.md shows a complete one.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path

from kbert.conversion.batches import Batch, Outputs
from kbert.conversion.options import Options
from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle


class Format(abc.ABC):
    """How models of a format are found, read, written and run.

    `find` and `read` are required; `write` is required of a format that `writes`. A module with a format must not
    import TensorFlow or Keras before one of these methods is called, since the command line lists all formats.
    """

    name: str
    """What `--from` and `--to` call the format."""
    looks_like: str
    """The files by which a model is recognized, in words: "a KerasHub preset (config.json and model.weights.h5)"."""
    writes: bool = True
    """Whether models can be converted to this format."""
    keeps_dtypes: bool = False
    """Whether tensors are stored in the dtypes that they have. Other formats store float32."""
    takes: tuple[str, ...] = ("lowercase",)
    """The options among "config", "vocab" and "lowercase" that `read` follows. `convert` refuses the others."""
    inexact: Mapping[str, str] = {}
    """The outputs that the format's own programs compute differently from BERT, with the reason of each."""

    @abc.abstractmethod
    def find(self, path: Path) -> Path | None:
        """Finds a model of this format.

        Args:
            path: A folder, a file, or the prefix of several files, which the user named. It may not exist.

        Returns:
            Where the model is, as `read` wants it; None if there is none of this format.

        Raises:
            UsageError: A folder holds several models.
        """

    @abc.abstractmethod
    def read(self, place: Path, options: Options) -> Bundle:
        """Reads a model.

        Args:
            place: What `find` gave.
            options: The wishes of the user; `options.notes` takes lines to tell.

        Raises:
            KbertError: The model is incomplete or damaged, or no BERT.
        """

    def write(self, bundle: Bundle, folder: Path, options: Options) -> None:
        """Writes a model.

        Args:
            bundle: The model.
            folder: An empty folder, in which `find` finds the model afterwards.
            options: As for `read`.

        Raises:
            ConfigError: The format cannot have such a model.
        """
        raise UsageError(f"the format {self.name} cannot be written; name another one with --to")

    def outputs(self, place: Path, bundle: Bundle, batches: Sequence[Batch]) -> list[Outputs]:
        """Computes what a model gives for each batch, to compare it before and after a conversion.

        By default kbert's own model of the bundle computes. A format whose programs are at hand runs those.

        Args:
            place: What `find` gave.
            bundle: What `read` gave.
            batches: The inputs.

        Returns:
            For each batch, outputs by the names that kbert's models have: `sequence_output`, `pooled_output`, `logits`,
            `mlm_logits` and so on, without those of padding (`Batch.inside`).
        """
        from kbert.conversion.parity import bundle_outputs  # makes Keras models

        return bundle_outputs(bundle, batches)
