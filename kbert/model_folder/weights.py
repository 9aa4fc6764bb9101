"""Reads and writes files of weights: safetensors or PyTorch's format, in one file or in shards. Files are untrusted.

The safetensors library checks that a header is JSON of at most 100 MB and that its tensors fill the file exactly, so
nothing larger than the files themselves is ever allocated. `torch_files.py` reads the files of torch.save.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors
import safetensors.numpy

from kbert import files
from kbert.errors import BundleError, shown
from kbert.model_folder.file_names import TORCH_FILE, WEIGHT_FORMS, WEIGHTS_FILE
from kbert.model_folder.parts import (
    DECODER,
    ENCODER_PREFIX,
    HEAD_NAMESPACES,
    MLM_BIAS,
    PARTS,
    TOKEN_TABLE,
)
from kbert.model_folder.torch_files import TorchFile

_DTYPES = ("F32", "F16", "BF16", "F64")
_COUNTERS = ("I64", "I32", "I16", "I8", "U8", "BOOL", "int64", "int32", "int16", "int8", "uint8", "bool")
# Tensors that Transformers stores although they are not needed: position buffers, and second copies of tied weights.
_BUFFERS = ("bert.embeddings.position_ids", "bert.embeddings.token_type_ids")
_DECODER_BIAS = "cls.predictions.decoder.bias"
_TIED = {DECODER: TOKEN_TABLE, _DECODER_BIAS: MLM_BIAS}
_BARE = ("embeddings.", "encoder.", "pooler.")
"""The prefixes of tensor names in a file of an encoder without heads."""
_ANCHORS = tuple(
    PARTS[part].names()[0].removeprefix(ENCODER_PREFIX) for part in ("token_table", "position_table", "embedding_norm")
)
"""Tensors that every BERT has exactly once. The prefix before one of these names is the prefix of all names."""
_HEADS = (*HEAD_NAMESPACES, "crf.", ENCODER_PREFIX)


class _Handle(Protocol):
    """An open file of weights."""

    def keys(self) -> Collection[str]:
        """Returns the names of the tensors."""

    def dtype(self, name: str) -> str:
        """Returns the dtype of a tensor by its name in safetensors."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor."""

    def get_tensor(self, name: str) -> np.ndarray:
        """Returns a tensor."""


class _SafetensorsHandle:
    """An open safetensors file, with the methods of `_Handle`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def keys(self) -> Collection[str]:
        return list(self._handle.keys())

    def dtype(self, name: str) -> str:
        return str(self._handle.get_slice(name).get_dtype())

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._handle.get_slice(name).get_shape())

    def get_tensor(self, name: str) -> np.ndarray:
        tensor: np.ndarray = self._handle.get_tensor(name)
        return tensor


class Weights(Mapping[str, tuple[int, ...]]):
    """The weights of a model folder: a mapping from tensor names to shapes, and a method that reads the tensors.

    The names are those of current versions of Transformers. Files may have other names: bert-base-uncased on the hub
    has names of 2018, a BertModel has no prefix, and other programs add prefixes such as "module." or "0.auto_model.".

    Args:
        folder: The folder with model.safetensors or pytorch_model.bin, or with the shards and the index of either.

    Raises:
        BundleError: There are no weights, or their headers are damaged or contradict each other.
    """

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, tuple[Path, str]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        found: list[tuple[Path, str, str, tuple[int, ...]]] = []
        indexed: dict[Path, set[str]] = {}
        index, places = _files(folder)
        for path, expected in places.items():
            with _opened(path) as handle:
                found += [(path, name, handle.dtype(name), handle.shape(name)) for name in sorted(handle.keys())]
            if expected is not None:
                indexed[path] = expected
        names = _Names(folder, [name for _, name, _, _ in found])
        for path, name, dtype, shape in found:
            self._add(path, name, names.current(name), dtype, shape)
        for path, expected in indexed.items():
            stored = {name for place, name, _, _ in found if place == path}
            _check_index(index, path, names, stored, expected)
        self._tie()

    def _add(self, path: Path, name: str, current: str, dtype: str, shape: tuple[int, ...]) -> None:
        if current in _BUFFERS:
            return
        if dtype not in _DTYPES:
            if not current.startswith(_HEADS) and dtype in _COUNTERS:
                return  # a counter of training, not a weight
            raise BundleError(f"{path}: the tensor {shown(name)} must be of {', '.join(_DTYPES)}. Received: {dtype}")
        if current in self._places:
            raise BundleError(f"{path}: the tensor {shown(current)} appears twice, once as {shown(name)}")
        self._places[current] = (path, name)
        self._shapes[current] = shape

    def _tie(self) -> None:
        """Maps tied weights to one of their two names, because some programs store only the other one."""
        for name, other in _TIED.items():
            if name in self._places and (other not in self._places or name == _DECODER_BIAS):
                self._places[other], self._shapes[other] = self._places.pop(name), self._shapes.pop(name)

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def read(self) -> dict[str, np.ndarray]:
        """Returns all tensors in their stored dtypes, without buffers and second copies of tied weights.

        The projection of an untied decoder keeps its name. Its bias is the same tensor as `cls.predictions.bias`; if a
        file has both, the bias of the decoder is used, as in Transformers.

        Raises:
            BundleError: A file is damaged.
        """
        tensors: dict[str, np.ndarray] = {}
        for path in sorted({path for path, _ in self._places.values()}):
            with _opened(path) as handle:
                for current, (place, name) in self._places.items():
                    if place == path:
                        tensors[current] = handle.get_tensor(name)
        decoder = tensors.get(DECODER)
        if decoder is not None and np.array_equal(decoder, tensors[TOKEN_TABLE]):
            del tensors[DECODER]
        return tensors


class _Names:
    """Maps the tensor names in a folder's files to those of current versions of Transformers.

    Args:
        folder: The folder, for messages.
        stored: All names in its files.

    Raises:
        BundleError: The files contain several encoders.
    """

    def __init__(self, folder: Path, stored: Collection[str]) -> None:
        self._outer, self._encoder = "", ""
        modern = {_modern(name) for name in stored}
        for anchor in _ANCHORS:
            prefixes = sorted(
                name.removesuffix(anchor) for name in modern if name == anchor or name.endswith(f".{anchor}")
            )
            if len(prefixes) > 1 and set(prefixes) != {"", ENCODER_PREFIX}:
                raise BundleError(
                    f"{folder}: expected the weights of one encoder. Received: several, whose names begin with "
                    f"{', '.join(map(shown, prefixes[:4]))}; save the one that you want by itself"
                )
            if prefixes:
                inside = f".{prefixes[0]}".endswith(f".{ENCODER_PREFIX}")  # but not "my_bert."
                self._encoder = ENCODER_PREFIX if inside else ""
                self._outer = prefixes[0].removesuffix(self._encoder)
                return

    def current(self, name: str) -> str:
        """Returns the name of a tensor in current versions of Transformers."""
        name = _modern(name)
        if self._encoder:
            return name.removeprefix(self._outer)
        if self._outer and name.startswith(self._outer):
            return ENCODER_PREFIX + name.removeprefix(self._outer)
        if not self._outer and name.startswith(_BARE):
            return ENCODER_PREFIX + name
        # The encoder may be an attribute of a module with a head beside it: "module.encoder." and "module.classifier.".
        parts = self._outer.split(".")
        for count in range(len(parts), 0, -1):
            prefix = ".".join(parts[:count]) + "."
            if name.startswith(prefix) and name.removeprefix(prefix).startswith(_HEADS):
                return name.removeprefix(prefix)
        return name


def _modern(name: str) -> str:
    if name.endswith("LayerNorm.gamma"):
        return name.removesuffix("gamma") + "weight"
    if name.endswith("LayerNorm.beta"):
        return name.removesuffix("beta") + "bias"
    return name


def _check_index(index: Path, path: Path, names: _Names, stored: set[str], expected: set[str]) -> None:
    """Checks that a shard contains the tensors that the index lists for it.

    They may differ in tensors that no model needs: buffers and second copies of tied weights.
    """
    for name in sorted(stored ^ expected):
        if names.current(name) not in (*_BUFFERS, *_TIED, *_TIED.values()):
            raise BundleError(f"{index} and {path.name} contradict each other over the tensor {shown(name)}")


def save_weights(folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes model.safetensors atomically."""
    with files.atomic_file(folder / WEIGHTS_FILE) as handle:
        handle.write(safetensors.numpy.save(dict(tensors), {"format": "pt"}))


def read_tensor_file(path: Path) -> dict[str, np.ndarray]:
    """Returns all tensors of one file, safetensors or PyTorch's format, by the names in the file.

    Raises:
        BundleError: The file is missing or damaged, or a tensor is not of a floating-point dtype.
    """
    with _opened(path) as handle:
        for name in sorted(handle.keys()):
            if handle.dtype(name) not in _DTYPES:
                raise BundleError(
                    f"{path}: the tensor {shown(name)} must be of {', '.join(_DTYPES)}. Received: {handle.dtype(name)}"
                )
        return {name: handle.get_tensor(name) for name in sorted(handle.keys())}


def weights_files(folder: files.PathLike) -> list[Path]:
    """Returns the paths of the files that contain the weights of a model folder, sorted.

    Raises:
        BundleError: There are no weights, or the index of the shards is damaged.
    """
    return sorted(_files(Path(folder))[1])


def _files(folder: Path) -> tuple[Path, dict[Path, set[str] | None]]:
    """Returns the path of the index, and the weight files with the tensors that the index lists for each.

    Without an index, the value of the single file is None.
    """
    for whole, index, ending in WEIGHT_FORMS:
        if (folder / whole).is_file():
            return folder / index, {folder / whole: None}
        if (folder / index).is_file():
            return folder / index, dict(_shards(folder / index, ending))
    raise BundleError(f"expected {WEIGHTS_FILE} or {TORCH_FILE} in {folder}. Received: neither")


def _shards(index: Path, ending: str) -> dict[Path, set[str]]:
    values = files.read_json(index, BundleError)
    places = values.get("weight_map") if isinstance(values, dict) else None
    if not isinstance(places, dict) or not places:
        raise BundleError(f'{index}: expected an object "weight_map" from tensor names to file names')
    shards: dict[Path, set[str]] = {}
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file or "\\" in file or not file.endswith(ending):
            raise BundleError(
                f"{index}: the tensor {shown(name)} must lie in a {ending} file of the same folder. "
                f"Received: {shown(file)}"
            )
        shards.setdefault(index.parent / file, set()).add(name)
    return shards


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Handle]:
    """Opens a file of weights; any damage raises a BundleError."""
    if not path.is_file():
        raise BundleError(f"{path} is missing")
    if path.suffix == ".bin":
        file = TorchFile(path)
        try:
            yield file
        finally:
            file.close()
        return
    try:
        with safetensors.safe_open(path, "numpy") as handle:
            yield _SafetensorsHandle(handle)
    except (safetensors.SafetensorError, OSError, TypeError, ValueError) as problem:
        raise BundleError(f"{path} is damaged ({' '.join(str(problem).split()):.200})") from None
