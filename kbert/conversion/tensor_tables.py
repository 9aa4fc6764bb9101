"""Tables that say where a foreign format keeps each part of a BERT, and in what layout.

A table maps parts of `kbert.model_folder.parts` to foreign names. Transformers' names, shapes and the kinds of parts
come from there, so that a format adds only what is its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from kbert.config import BertConfig
from kbert.errors import BundleError
from kbert.model_folder.parts import BLOCK, DENSE, EMBEDDINGS, NORM, PARTS, TABLE, Shape

SAME, TRANSPOSED, HEADS_IN, HEADS_OUT = "same", "transposed", "heads_in", "heads_out"
"""The layouts of the kernel of a dense layer: [out, in], which is Transformers'; [in, out]; [in, heads, out / heads];
[heads, in / heads, out]."""
_HEADS_BIAS = "heads_bias"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor in both formats.

    Args:
        name: The name in Transformers.
        shape: The shape in Transformers.
        foreign: The foreign name.
        layout: How the foreign array differs: "same", "transposed", "heads_in", "heads_bias" or "heads_out".
        heads: The number of attention heads.
    """

    name: str
    shape: Shape
    foreign: str
    layout: str
    heads: int

    def to_foreign(self, tensor: np.ndarray) -> np.ndarray:
        """Transformers' array as the foreign format keeps it, float32."""
        turned = tensor.T if self.layout in (TRANSPOSED, HEADS_IN, HEADS_OUT) else tensor
        return np.ascontiguousarray(turned.reshape(self.foreign_shape), np.float32)

    def to_bundle(self, tensor: np.ndarray) -> np.ndarray:
        """A foreign array as an array of Transformers, float32."""
        if self.layout in (TRANSPOSED, HEADS_IN, HEADS_OUT):
            tensor = tensor.reshape(self.shape[::-1]).T
        return np.ascontiguousarray(tensor.reshape(self.shape), np.float32)

    @property
    def foreign_shape(self) -> Shape:
        """The shape of the foreign array."""
        shape, heads = self.shape, self.heads
        match self.layout:
            case "transposed":
                return shape[::-1]
            case "heads_in":
                return (shape[1], heads, shape[0] // heads)
            case "heads_bias":
                return (heads, shape[0] // heads)
            case "heads_out":
                return (heads, shape[1] // heads, shape[0])
        return shape


@dataclasses.dataclass(frozen=True)
class TensorTable:
    """The foreign names of parts.

    Args:
        names: The foreign name of each part that the format has, by the keys of `kbert.model_folder.parts.PARTS`;
            "{layer}" stands for the number of a block. The endings below are appended to it. A tuple gives the whole
            name of each tensor instead.
        dense: The endings of the kernel and the bias of a dense layer.
        norm: The endings of the scale and the offset of a LayerNorm.
        layouts: The layout of the kernels of some dense layers; the default is "transposed".
        first_layer: The number of the first block.

    Example:
        >>> table = TensorTable({"pooler": "top/pooler"}, dense=("/w", "/b"), norm=("/g", "/b"))
        >>> table.foreign_names("pooler")
        ('top/pooler/w', 'top/pooler/b')
    """

    names: Mapping[str, str | tuple[str, ...]]
    dense: tuple[str, str]
    norm: tuple[str, str]
    layouts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    first_layer: int = 0

    def foreign_names(self, part: str, layer: int = 0) -> tuple[str, ...]:
        """Returns the foreign names of the tensors of a part; `layer` counts blocks from 0."""
        names = self.names[part]
        if isinstance(names, str):
            endings = {TABLE: ("",), DENSE: self.dense, NORM: self.norm}[PARTS[part].kind]
            names = tuple(names + ending for ending in endings)
        return tuple(name.format(layer=layer + self.first_layer) for name in names)

    def entries(self, config: BertConfig, classes: int = 2) -> list[Entry]:
        """Returns the tensors of the table for a model of this shape.

        Args:
            config: The shape of the model; check a number of layers from a foreign file with `check_depth` first.
            classes: The number of classes, if the table has a classifier.
        """
        found = []
        for part, layer in self._places(config.num_hidden_layers):
            known = PARTS[part]
            layouts = {
                SAME: (SAME, SAME),
                TRANSPOSED: (TRANSPOSED, SAME),
                HEADS_IN: (HEADS_IN, _HEADS_BIAS),
                HEADS_OUT: (HEADS_OUT, SAME),
            }[self.layouts.get(part, TRANSPOSED if known.kind == DENSE else SAME)]
            names, shapes, foreign = (
                known.names(layer),
                known.shapes(config, classes),
                self.foreign_names(part, layer),
            )
            found += [
                Entry(name, shape, where, layout, config.num_attention_heads)
                for name, shape, where, layout in zip(names, shapes, foreign, layouts[: len(names)], strict=True)
            ]
        return found

    def _places(self, layers: int) -> Iterator[tuple[str, int]]:
        """Yields each part with the number of its block: embeddings, blocks, then the others in the table's order."""
        yield from ((part, 0) for part in EMBEDDINGS if part in self.names)
        yield from ((part, layer) for layer in range(layers) for part in BLOCK if part in self.names)
        yield from ((part, 0) for part in self.names if part not in (*EMBEDDINGS, *BLOCK))


def check_depth(config: BertConfig, foreign_shapes: Mapping[str, Sequence[int]], where: object) -> None:
    """Refuses a number of layers that a file cannot hold, before tables of that length are made.

    Raises:
        BundleError: There are more layers than tensors.
    """
    if config.num_hidden_layers > len(foreign_shapes):
        raise BundleError(
            f"{where} holds {len(foreign_shapes)} tensors; those are not the {config.num_hidden_layers} layers that "
            "the configuration says"
        )


def read_entries(
    table: Iterable[Entry],
    foreign_shapes: Mapping[str, Sequence[int]],
    read: Callable[[str], np.ndarray],
    where: object,
) -> dict[str, np.ndarray]:
    """Reads tensors from a foreign format, each only after its shape was found right.

    Args:
        table: The tensors to read.
        foreign_shapes: The tensors that the foreign file holds, with their shapes.
        read: Gives the array of a foreign name.
        where: The foreign file, for messages.

    Returns:
        Tensors by Transformers' names, float32.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    table = list(table)
    for entry in table:
        wanted = entry.foreign_shape
        if entry.foreign not in foreign_shapes:
            raise BundleError(f"{where} lacks the tensor {entry.foreign} of shape {list(wanted)}")
        if tuple(foreign_shapes[entry.foreign]) != wanted:
            raise BundleError(
                f"{where}: the tensor {entry.foreign} must have the shape {list(wanted)} that the configuration says. "
                f"Received: {list(foreign_shapes[entry.foreign])}"
            )
    return {entry.name: entry.to_bundle(read(entry.foreign)) for entry in table}
