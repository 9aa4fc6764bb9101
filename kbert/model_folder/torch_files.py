"""Reads files of `torch.save` without PyTorch and without executing anything in them.

Since PyTorch 1.6 such a file is a zip archive: a pickle, data.pkl, describes the tensors, and each storage is an
uncompressed entry. `torch_pickle.py` interprets the pickle.

Allocations are bounded by the size of the file: entries must be uncompressed, tensors must lie inside their storages
without overlapping themselves, and all tensors together must not be much larger than the file.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from kbert.errors import BundleError, shown
from kbert.model_folder.torch_pickle import RESAVE, TensorPickle, TensorView, described

DTYPE_NAMES = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float16): "F16",
    np.dtype(ml_dtypes.bfloat16): "BF16",
    np.dtype(np.float64): "F64",
}
"""The names of the floating-point dtypes in safetensors."""
_MOST_PICKLE = 64 << 20
"""The largest allowed size of the pickle in bytes; the pickle of a BERT has about 30 kB."""
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of files of PyTorch 0.4 to 1.5."""


class TorchFile:
    """The tensors of a file that `torch.save` wrote.

    Args:
        path: The file, such as pytorch_model.bin. It contains a dictionary from names to tensors, or a dictionary that
            holds it under the key "state_dict" or "model_state_dict".

    Raises:
        BundleError: The file has an older format, is damaged, or contains objects other than tensors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive = self._opened()
        try:
            self._entries = self._checked_entries()
            root = self._root()
            content = self._state(TensorPickle(path, self._bytes(f"{root}data.pkl", _MOST_PICKLE), root).run())
            self._tensors = {name: self._checked(name, tensor) for name, tensor in content.items()}
            self._check_total()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._archive.close()

    def keys(self) -> list[str]:
        """Returns the names of the tensors."""
        return list(self._tensors)

    def dtype(self, name: str) -> str:
        """Returns the dtype of a tensor: "F32", "F16", "BF16" or "F64" as in safetensors, or NumPy's name of others."""
        dtype = self._tensors[name].storage.dtype
        return DTYPE_NAMES.get(dtype, dtype.name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor."""
        return self._tensors[name].shape

    def get_tensor(self, name: str) -> np.ndarray:
        """Returns a tensor in the dtype in which it is stored.

        Raises:
            BundleError: The bytes of the tensor are damaged.
        """
        tensor = self._tensors[name]
        dtype = tensor.storage.dtype
        content = self._bytes(tensor.storage.entry)
        numbers = np.frombuffer(content, dtype, len(content) // dtype.itemsize)
        strides = tuple(stride * dtype.itemsize for stride in tensor.strides)
        view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
        return np.array(view, order="C")

    # === The archive ===

    def _opened(self) -> zipfile.ZipFile:
        with open(self.path, "rb") as handle:
            start = handle.read(512)
        if start.startswith(_LEGACY) or start[257:262] == b"ustar":
            raise BundleError(f"{self.path} was written by PyTorch before 1.6, whose files kbert cannot read. {RESAVE}")
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
            raise self._refusal(f"it is damaged, or not a file of torch.save ({problem!s:.100})") from None

    def _checked_entries(self) -> dict[str, zipfile.ZipInfo]:
        size = self.path.stat().st_size
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._archive.infolist():
            if entry.filename in entries:
                raise self._refusal(f"the entry {shown(entry.filename)} appears twice")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.file_size > size:
                raise self._refusal(f"the entry {shown(entry.filename)} must be uncompressed and lie inside the file")
            entries[entry.filename] = entry
        return entries

    def _root(self) -> str:
        roots = [name.removesuffix("data.pkl") for name in self._entries if name.split("/")[1:] == ["data.pkl"]]
        if len(roots) != 1:
            raise self._refusal("expected one data.pkl in it, as torch.save writes it")
        order = f"{roots[0]}byteorder"
        if order in self._entries and self._bytes(order, 100) != b"little":
            raise self._refusal("expected little-endian numbers")
        return roots[0]

    def _bytes(self, name: str, most: int | None = None) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            raise self._refusal(f"the entry {shown(name)} is missing")
        if most is not None and entry.file_size > most:
            raise self._refusal(f"the entry {shown(name)} has {entry.file_size:,} bytes, more than {most:,}")
        try:
            return self._archive.read(entry)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as problem:
            raise self._refusal(f"the entry {shown(name)} is damaged ({problem!s:.100})") from None

    # === Its content ===

    def _state(self, content: Any) -> dict[str, TensorView]:
        """Returns the dictionary of tensors in the object that the pickle describes."""
        for key in ("state_dict", "model_state_dict"):
            if isinstance(content, dict) and isinstance(content.get(key), dict):
                content = content[key]
        if not isinstance(content, dict) or not content:
            raise self._refusal("expected a dictionary of tensors")
        for name, value in content.items():
            if not isinstance(name, str):
                raise self._refusal(f"expected text as the names of tensors. Received: {described(name)}")
            if not isinstance(value, TensorView):
                raise self._refusal(f"expected a tensor as {shown(name)}. Received: {described(value)}")
        return content

    def _checked(self, name: str, tensor: TensorView) -> TensorView:
        entry = self._entries.get(tensor.storage.entry)
        held = 0 if entry is None else entry.file_size // tensor.storage.dtype.itemsize
        count = math.prod(tensor.shape)
        last = tensor.offset + sum(
            (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
        )
        if entry is None or max(tensor.offset, tensor.storage.size) > held or (count and last >= held):
            raise self._refusal(f"the tensor {shown(name)} does not lie inside its storage")
        # The strides must be row-major for some order of the dimensions, so that no element is used twice.
        expected = 1
        for stride, size in sorted(zip(tensor.strides, tensor.shape, strict=True)):
            if count and size > 1:
                if stride != expected:
                    raise self._refusal(f"the numbers of the tensor {shown(name)} must be contiguous")
                expected *= size
        return tensor

    def _check_total(self) -> None:
        """Limits the total size of all tensors, because tensors that share a storage are read separately."""
        size = self.path.stat().st_size
        tensors = list(self._tensors.values())
        numbers = sum(math.prod(tensor.shape) * tensor.storage.dtype.itemsize for tensor in tensors)
        storages = sum(self._entries[tensor.storage.entry].file_size for tensor in tensors)
        if numbers > 2 * size or storages > 8 * size:
            raise self._refusal(
                f"expected tensors of about the size of the file, {size:,} bytes. Received: {numbers:,} bytes in "
                f"storages of {storages:,}"
            )

    def _refusal(self, reason: str) -> BundleError:
        return BundleError(f"{self.path}: {reason}. {RESAVE}")
