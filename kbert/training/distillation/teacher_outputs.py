"""The outputs of a teacher for all training rows, which are computed once and stored on disk."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import files
from kbert.errors import UsageError
from kbert.features import ENTITY_POSITIONS
from kbert.options import option_error
from kbert.tasks.protocol.soft_outputs import CANDIDATES, CLASSES, LABELS, PLACES, VECTORS, SoftOutput
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows
from kbert.training.data.batches import LengthBucketedBatches
from kbert.training.distillation.objective import teacher_target
from kbert.training.distillation.relations import QKV

_LOG = logging.getLogger("kbert")
_FACTS_FILE = "outputs.json"
_NAMES = "outputs"
"""The key of the names of the outputs, each of which has a file."""
_TOKENS = 8192
"""The maximum number of tokens, padding included, for which the teacher computes its outputs at once."""
_BY_TOKEN = "by_token"
"""The kind of the queries, keys and values in addition to those of kbert.tasks.protocol.soft_outputs."""


class TeacherOutputs:
    """The outputs of a teacher, in a folder with a file for each of them.

    Queries, keys and values are float16, since they are the largest; the others are float32.

    Args:
        folder: The folder, which need not exist.
        teacher: A digest of the teacher and of what is computed.
        rows: The rows of tokens.
    """

    def __init__(self, folder: Path, teacher: str, rows: TrainingRows) -> None:
        self.folder = folder
        self._rows = rows
        found = hashlib.sha256(teacher.encode())
        entities = rows.targets.get(ENTITY_POSITIONS.name)
        for values in (rows.ids.values, rows.type_ids.values, rows.ids.lengths, rows.group_sizes, entities):
            if isinstance(values, np.ndarray):
                found.update(np.ascontiguousarray(values).data)
        self._facts = {"digest": found.hexdigest(), "items": len(rows)}

    @property
    def is_complete(self) -> bool:
        """Whether the folder holds the outputs of this teacher for these rows."""
        path = self.folder / _FACTS_FILE
        if not path.is_file():
            return False
        found = files.read_json(path, UsageError)
        names = found.pop(_NAMES, None) if isinstance(found, dict) else None
        return found == self._facts and isinstance(names, list) and all(self._path(name).is_file() for name in names)

    def check_folder(self) -> None:
        """Checks that the folder holds nothing but outputs of teachers, which may be replaced.

        Raises:
            OptionError: The folder holds other files.
        """
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        strange = sorted(name for name in names if name != _FACTS_FILE and not name.endswith(".npy"))
        if strange or self.folder.is_file():
            what = f", which holds {strange[0]}" if strange else ", which is a file"
            raise option_error(
                lambda spell: (
                    f"{spell('teacher_outputs')} must be a folder for the outputs of a teacher. Received: "
                    f"{self.folder}{what}"
                )
            )

    def compute(
        self,
        model: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]],
        kinds: Mapping[str, SoftOutput],
        *,
        sequence_length: int,
        pad_id: int,
        relations: bool,
    ) -> None:
        """Computes and stores the outputs.

        Args:
            model: The teacher: a dict of features in, a dict of raw outputs out.
            kinds: What each output means.
            sequence_length: The longest row in tokens.
            pad_id: The id of [PAD].
            relations: Whether the model also has the output QKV.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _FACTS_FILE).unlink(missing_ok=True)
        wanted = {name: kind.kind for name, kind in kinds.items()} | ({QKV: _BY_TOKEN} if relations else {})
        batches = LengthBucketedBatches(
            self._rows, batch_size=1, steps=1, sequence_length=sequence_length, pad_id=pad_id
        )
        spec = {
            name: tf.TensorSpec([None, *each.shape[1:]], each.dtype)
            for name, each in batches.element_spec.items()
            if name.startswith("input_") or name == ENTITY_POSITIONS.name
        }
        function = tf.function(lambda batch: dict(model(batch)), input_signature=[spec], autograph=False)
        stores: dict[str, _Store] = {}
        order = np.argsort(batches.lengths, kind="stable")
        for items in _parts(order, batches.lengths, self._rows.group_sizes):
            batch = batches.batch(items)
            outputs = function({name: batch[name] for name in spec})
            for name, kind in wanted.items():
                values = outputs[name].numpy()
                if name not in stores:
                    stores[name] = _Store.create(self._path(name), kind, values, self._rows)
                stores[name].put(items, values)
        for store in stores.values():
            store.values.flush()
        files.write_json(self.folder / _FACTS_FILE, {**self._facts, _NAMES: sorted(stores)})

    def targets(self, kinds: Mapping[str, SoftOutput], *, relations: bool) -> dict[str, np.ndarray | Ragged]:
        """Returns the outputs as targets of the rows, which are read from the files when batches are made."""
        wanted = {name: kind.kind for name, kind in kinds.items()} | ({QKV: _BY_TOKEN} if relations else {})
        found: dict[str, np.ndarray | Ragged] = {}
        for name, kind in wanted.items():
            values = np.load(self._path(name), mmap_mode="r")
            found[teacher_target(name)] = _Store(kind, values, self._rows).target()
        return found

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def _parts(order: np.ndarray, lengths: np.ndarray, sizes: np.ndarray | None) -> list[np.ndarray]:
    """Splits items, which are sorted by length, into parts of at most _TOKENS tokens or a single item."""
    parts: list[list[int]] = []
    rows = 0
    for item in order.tolist():
        more = 1 if sizes is None else int(sizes[item])
        rows = max(rows, more)
        if not parts or (len(parts[-1]) + 1) * rows * int(lengths[item]) > _TOKENS:
            parts.append([])
            rows = more
        parts[-1].append(item)
    return [np.array(part) for part in parts]


class _Store:
    """The values of one output for all items.

    Args:
        kind: What the output means, or _BY_TOKEN.
        values: The values: an entry for each token, each row or each item.
        rows: The rows of tokens.
    """

    def __init__(self, kind: str, values: Any, rows: TrainingRows) -> None:
        self.kind = kind
        self.values = values
        self._rows = rows
        sizes = rows.group_sizes
        self._sizes = np.ones(len(rows), np.int64) if sizes is None else sizes
        self._first_rows = np.cumsum(self._sizes) - self._sizes
        self._first_tokens = np.cumsum(rows.ids.lengths) - rows.ids.lengths
        tokens = int(rows.ids.lengths.sum())
        # Each row has several tokens, so the number of entries tells outputs of tokens from outputs of items.
        self._by_token = kind in (PLACES, _BY_TOKEN) or (kind in (CLASSES, LABELS) and len(values) == tokens)
        self._by_row = not self._by_token and sizes is not None and kind in (CANDIDATES, VECTORS)

    @classmethod
    def create(cls, path: Path, kind: str, first: np.ndarray, rows: TrainingRows) -> _Store:
        """Makes the file of an output, given its values for some items."""
        tokens, all_rows = int(rows.ids.lengths.sum()), len(rows.ids)
        dtype = np.float16 if kind == _BY_TOKEN else np.float32
        if kind == _BY_TOKEN or (kind in (CLASSES, LABELS) and first.ndim == 3):
            shape: tuple[int, ...] = (tokens, first.shape[-1])
        elif kind == PLACES:
            shape = (tokens,)
        elif kind == CANDIDATES:
            shape = (all_rows,)
        elif kind == VECTORS:
            shape = (all_rows, first.shape[-1])
        else:
            shape = (len(rows), *first.shape[1:])
        return cls(kind, np.lib.format.open_memmap(path, "w+", dtype, shape), rows)

    def put(self, items: np.ndarray, values: np.ndarray) -> None:
        """Stores the values of some items."""
        if not self._by_token and not self._by_row:
            self.values[items] = values
            return
        most = self._sizes[items].max()
        inside = np.arange(most) < self._sizes[items][:, None]
        rows = (self._first_rows[items][:, None] + np.arange(most))[inside]
        if self._by_row:
            self.values[rows] = values[inside]
            return
        # Such outputs have a row for each row of tokens, those of an item after each other.
        found = values[inside.reshape(-1)]
        lengths = self._rows.ids.lengths[rows]
        columns = np.arange(found.shape[1])
        there = columns < lengths[:, None]
        places = (self._first_tokens[rows][:, None] + columns)[there]
        self.values[places] = found[there]

    def target(self) -> np.ndarray | Ragged:
        """Returns the values as a target of the rows."""
        if self._by_token:
            return Ragged(self.values, self._rows.ids.lengths, by_token=True)
        return Ragged(self.values, self._sizes) if self._by_row else self.values
