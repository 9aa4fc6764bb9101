"""Reads and writes the HDF5 weight files of Keras. Files are untrusted: links and external data are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kbert import files
from kbert.errors import BundleError

# Group names, which Keras derives from layer classes, and the first layer of that class in KerasHub's backbone.
_PATHS = {
    "reversible_embedding": "token_embedding",
    "position_embedding": "position_embedding",
    "embedding": "segment_embedding",
    "layer_normalization": "embeddings_layer_norm",
    "transformer_encoder": "transformer_layer_0",
    "dense": "pooled_dense",
}


class WeightFiles:
    """The datasets of one or more weight files, by the names of Keras layers.

    Older versions of Keras name the group of a layer by the layer's name (`transformer_layer_1`). Newer versions name
    it by class and number (`transformer_encoder_1`), and store the layer's name as an attribute. Here datasets are
    always found by the layer's name.

    Args:
        paths: The files; a sharded model has several.

    Attributes:
        shapes: The shape of each dataset, by name.

    Raises:
        BundleError: A file is missing or damaged, or refers to data outside itself.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.shapes: dict[str, list[int]] = {}
        self._places: dict[str, tuple[Path, str]] = {}
        for path in paths:
            if not path.is_file():
                raise BundleError(f"{path} is missing")
            try:
                with h5py.File(path, "r") as handle:
                    self._list(path, handle)
            except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as problem:
                raise BundleError(f"{path} is damaged ({_first_line(problem)})") from None

    def __str__(self) -> str:
        return str(self.paths[0])

    def read(self, name: str) -> np.ndarray:
        """Returns a floating-point dataset as float32.

        Raises:
            BundleError: The dataset is damaged, or has another dtype.
        """
        path, place = self._places[name]
        try:
            with h5py.File(path, "r") as handle:
                dataset = handle[place]
                if dataset.dtype.kind != "f":
                    raise BundleError(f"{path}: the tensor {place} must hold floats. Received: {dataset.dtype}")
                return np.asarray(dataset[()], np.float32)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as problem:
            raise BundleError(f"{path}: the tensor {place} is damaged ({_first_line(problem)})") from None

    def _list(self, path: Path, handle: Any) -> None:
        for root in ("layers", "_layer_checkpoint_dependencies"):
            if root not in handle:
                continue
            layers = self._child(path, handle, root)
            for key in layers:
                layer = self._child(path, layers, key)
                if isinstance(layer, h5py.Group):
                    self._walk(path, layer, self._layer_name(path, layer, key))

    def _walk(self, path: Path, group: Any, name: str) -> None:
        for key in group:
            item = self._child(path, group, key)
            # Some releases of Keras write attributes that are layers with a leading underscore.
            inner = f"{name}/{key.lstrip('_')}"
            if isinstance(item, h5py.Group):
                self._walk(path, item, inner)
            elif isinstance(item, h5py.Dataset):
                if item.is_virtual or item.external:
                    raise BundleError(f"{path}: {item.name} must be in the file itself. Received: data elsewhere")
                self.shapes[inner] = list(item.shape or ())
                self._places[inner] = (path, item.name)

    def _child(self, path: Path, group: Any, key: str) -> Any:
        """Returns a member of a group; a link is refused, because it may point to another file."""
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise BundleError(f"{path}: {group.name}/{key} must be in the file itself. Received: a link")
        return group[key]

    def _layer_name(self, path: Path, layer: Any, key: str) -> str:
        name = self._child(path, layer, "vars").attrs.get("name") if "vars" in layer else None
        if isinstance(name, str):
            return name
        if key in _PATHS:
            return _PATHS[key]
        kind, _, number = key.rpartition("_")
        return f"transformer_layer_{number}" if kind == "transformer_encoder" else key


def find_weight_files(folder: Path, single: str, sharded: str) -> list[Path]:
    """Returns the weight files of a folder: the single file, or the shards that an index lists.

    Args:
        folder: The folder.
        single: The name of the weight file of a model that is not sharded.
        sharded: The name of the index of a sharded model.

    Raises:
        BundleError: The index is damaged or names a file outside the folder.
    """
    index = folder / sharded
    if (folder / single).is_file() or not index.is_file():
        return [folder / single]
    values = files.read_json(index, BundleError)
    try:
        listed = [values["weight_map"][key] for key in values["weight_map"]]
        names = {name for entry in listed for name in (entry if isinstance(entry, list) else [entry])}
        bad = [name for name in names if not isinstance(name, str) or Path(name).name != name or name in (".", "..")]
    except (KeyError, TypeError) as problem:
        raise BundleError(f"{index}: expected the files of each tensor under weight_map ({problem})") from None
    if bad or not names:
        raise BundleError(f"{index}: expected names of files in the same folder. Received: {bad[:1] or 'none'}")
    return [folder / name for name in sorted(names)]


def write_weights(path: Path, tensors: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Writes a weight file as Keras does.

    Args:
        path: The file.
        tensors: The arrays, by the paths of their datasets.
        names: The names of the layers, by the paths of their groups.
    """
    with h5py.File(path, "w") as handle:
        for place, tensor in tensors.items():
            handle.create_dataset(place, data=tensor)
        for place, name in names.items():
            handle.require_group(f"{place}/vars").attrs["name"] = name


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0][:200]
