"""TensorFlow's checkpoint files: PREFIX.index lists the tensors, and PREFIX.data-… holds their values.

TensorFlow is imported only when a checkpoint is opened or written, so that formats can be listed without it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from kbert.errors import BundleError, UsageError

LOOKS_LIKE = "a checkpoint of Google's code or the Model Garden (bert_config.json, vocab.txt, bert_model.ckpt.index)"
"""The description of a checkpoint in messages; it is the same for both checkpoint formats."""
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The entry that only object-based (TF2) checkpoints have; name-based (TF1) checkpoints have no such entry."""


class CheckpointFiles:
    """A checkpoint whose tensors are read one at a time.

    Args:
        prefix: The path of the checkpoint without `.index`.

    Raises:
        BundleError: The files are missing or damaged.
    """

    def __init__(self, prefix: Path) -> None:
        import tensorflow as tf

        self.prefix = prefix
        self._reader = self._guarded(lambda: tf.train.load_checkpoint(str(prefix)))
        self.shapes: dict[str, list[int]] = self._guarded(self._reader.get_variable_to_shape_map)
        self._dtypes = self._guarded(self._reader.get_variable_to_dtype_map)

    def __str__(self) -> str:
        return str(self.prefix)

    def read(self, name: str) -> np.ndarray:
        """Returns a floating-point tensor as float32.

        Raises:
            BundleError: The tensor is damaged, or has another dtype.
        """
        dtype = self._dtypes[name]
        if not dtype.is_floating:
            raise BundleError(f"{self.prefix}: the tensor {name} must hold floats. Received: {dtype.name}")
        return np.asarray(self._guarded(lambda: self._reader.get_tensor(name)), np.float32)

    def read_bytes(self, name: str) -> bytes:
        """Returns the bytes of a tensor that holds one string.

        Raises:
            BundleError: The tensor is damaged, or is not a single string.
        """
        value = self._guarded(lambda: self._reader.get_tensor(name))
        if not isinstance(value, bytes):
            raise BundleError(f"{self.prefix}: {name} must hold one string. Received: {type(value).__name__}")
        return value

    def _guarded(self, action: Any) -> Any:
        import tensorflow as tf

        try:
            return action()
        # The reader raises many kinds of errors for damaged files.
        except (tf.errors.OpError, RuntimeError, ValueError, LookupError, TypeError, MemoryError) as problem:
            reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
            raise BundleError(f"{self.prefix}: the checkpoint is damaged or incomplete ({reason[:200]})") from None


def find_checkpoint(path: Path) -> Path | None:
    """Returns the prefix of a checkpoint, or None if there is none.

    In a folder with several checkpoints, bert_model.ckpt is preferred, then the one that the file `checkpoint` names,
    then the one with the largest number at its end.

    Args:
        path: A prefix, a file of a checkpoint, or a folder that holds a checkpoint.

    Raises:
        UsageError: A folder has several checkpoints, and none of these rules chooses one.
    """
    name = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", path.name)
    if name and _is_checkpoint(path.with_name(name)):  # "." and "/" have no name
        return path.with_name(name)
    if not path.is_dir():
        return None
    prefixes = sorted(index.with_suffix("") for index in path.glob("*.index"))
    if len(prefixes) <= 1:
        return prefixes[0] if prefixes else None
    for preferred in (path / "bert_model.ckpt", _latest(path)):
        if preferred in prefixes:
            return preferred
    numbered = [(int(match[1]), prefix) for prefix in prefixes if (match := re.search(r"-(\d+)$", prefix.name))]
    if len(numbered) < len(prefixes) or len({re.sub(r"\d+$", "", prefix.name) for prefix in prefixes}) > 1:
        names = ", ".join(prefix.name for prefix in prefixes[:5])
        raise UsageError(f"{path} holds several checkpoints ({names}); name one of them: {prefixes[0]}")
    return max(numbered)[1]


def write_checkpoint(prefix: Path, tensors: dict[str, np.ndarray]) -> None:
    """Writes a name-based checkpoint, as TF1's Saver does."""
    import tensorflow as tf

    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )


def _is_checkpoint(prefix: Path) -> bool:
    return prefix.with_name(f"{prefix.name}.index").is_file()


def _latest(folder: Path) -> Path | None:
    """Returns the prefix that the file `checkpoint` of a folder names, or None.

    The file is a text-format protocol buffer; only its line `model_checkpoint_path` is read.
    """
    path = folder / "checkpoint"
    if not path.is_file():
        return None
    match = re.search(r'^model_checkpoint_path:\s*"([^"]+)"', path.read_text("utf-8", "replace"), re.MULTILINE)
    return folder / Path(match[1]).name if match else None
