"""Files of weights: safetensors, whole or in shards, read as untrusted input.

The safetensors library checks that a header is JSON of at most 100 MB and that its tensors fill the file exactly,
so nothing larger than the files themselves is ever allocated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from kbert import files
from kbert.errors import BundleError, shown

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_DTYPES = ("F32", "F16", "BF16", "F64")
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# What Transformers stores and needs not: counters, and the ends of tied weights.
_BUFFERS = ("bert.embeddings.position_ids", "bert.embeddings.token_type_ids")
_TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


class Weights(Mapping[str, tuple[int, ...]]):
    """The weights of a model folder, before they are read: tensor names and shapes.

    Names are given as Transformers gives them today: bert-base-uncased of the hub has names of 2018, and a bare
    BertModel has no prefix.

    Args:
        folder: Holds model.safetensors, or shards and model.safetensors.index.json.

    Raises:
        BundleError: There are no weights, or their headers are damaged or contradict each other.
    """

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, tuple[Path, str]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for path, expected in _files(folder).items():
            self._read_header(path, expected)

    def _read_header(self, path: Path, expected: set[str] | None) -> None:
        with _opened(path) as handle:
            stored = set(handle.keys())
            if expected is not None and stored != expected:
                name = min(stored ^ expected)
                raise BundleError(
                    f"{path.with_name(INDEX_FILE)} and {path.name} contradict each other over the tensor {shown(name)}"
                )
            for name in sorted(stored):
                current = _current_name(name)
                if current in _BUFFERS:
                    continue
                part = handle.get_slice(name)
                dtype = part.get_dtype()
                if dtype not in _DTYPES:
                    raise BundleError(
                        f"{path}: the tensor {shown(name)} must be of {', '.join(_DTYPES)}. Received: {dtype}"
                    )
                if current in self._places:
                    raise BundleError(f"{path}: the tensor {shown(current)} is there twice, once as {shown(name)}")
                self._places[current] = (path, name)
                self._shapes[current] = tuple(part.get_shape())

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def read(self) -> dict[str, np.ndarray]:
        """All tensors, in the dtypes they are stored in; buffers and the other ends of tied weights left out.

        Raises:
            BundleError: A file is damaged, or weights are not tied which a BERT ties.
        """
        tensors: dict[str, np.ndarray] = {}
        for path in sorted({path for path, _ in self._places.values()}):
            with _opened(path) as handle:
                for current, (place, name) in self._places.items():
                    if place == path:
                        tensors[current] = handle.get_tensor(name)
        for name, other in _TIED.items():
            copy = tensors.pop(name, None)
            if copy is not None and other in tensors and not np.array_equal(copy, tensors[other]):
                raise BundleError(f"the tensors {name} and {other} must be the same: a BERT's are tied")
        return tensors


def save_weights(folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes model.safetensors, atomically."""
    with files.atomic_file(folder / WEIGHTS_FILE) as handle:
        handle.write(safetensors.numpy.save(dict(tensors), {"format": "pt"}))


def _files(folder: Path) -> dict[Path, set[str] | None]:
    """The files of weights, each with the tensors that the index wants in it."""
    if (folder / WEIGHTS_FILE).is_file():
        return {folder / WEIGHTS_FILE: None}
    index = folder / INDEX_FILE
    if not index.is_file():
        pickle = next((name for name in _PICKLES if (folder / name).exists()), None)
        hint = f"; {pickle} is a pickle, which can run any code: save it as safetensors" if pickle else ""
        raise BundleError(f"{folder / WEIGHTS_FILE} is missing{hint}")
    values = files.read_json(index, BundleError)
    places = values.get("weight_map") if isinstance(values, dict) else None
    if not isinstance(places, dict) or not places:
        raise BundleError(f'{index}: expected an object "weight_map" from tensor names to file names')
    shards: dict[Path, set[str]] = {}
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file or "\\" in file or not file.endswith(".safetensors"):
            raise BundleError(
                f"{index}: the tensor {shown(name)} must lie in a .safetensors file of the same folder. "
                f"Received: {shown(file)}"
            )
        shards.setdefault(folder / file, set()).add(name)
    return dict(shards)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens a safetensors file; whatever is wrong with it is a BundleError."""
    if not path.is_file():
        raise BundleError(f"{path} is missing")
    try:
        with safetensors.safe_open(path, "numpy") as handle:
            yield handle
    except (safetensors.SafetensorError, OSError, TypeError, ValueError) as problem:
        raise BundleError(f"{path} is damaged ({' '.join(str(problem).split()):.200})") from None


def _current_name(name: str) -> str:
    """The name that Transformers gives a tensor today."""
    if name.startswith(("embeddings.", "encoder.", "pooler.")):
        name = f"bert.{name}"
    if name.endswith("LayerNorm.gamma"):
        return name.removesuffix("gamma") + "weight"
    if name.endswith("LayerNorm.beta"):
        return name.removesuffix("beta") + "bias"
    return name
