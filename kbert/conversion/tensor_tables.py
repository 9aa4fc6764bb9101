"""Tables of the tensors of foreign formats: the name and the layout of each part of a BERT.

A table maps the parts in `kbert.model_folder.parts` to foreign names. Transformers' names, shapes and the kinds of
parts come from that module, so a format declares only its own names and layouts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from kbert.config import BertConfig
from kbert.errors import BundleError
from kbert.model_folder.parts import BLOCK, DENSE, EMBEDDINGS, NORM, PARTS, TABLE, Shape

SAME, TRANSPOSED, HEADS_IN, HEADS_OUT = "same", "transposed", "heads_in", "heads_out"
"""The layouts of the kernel of a dense layer, in this order: [out, in], as in Transformers; [in, out];
[in, heads, out / heads]; [heads, in / heads, out]."""
_HEADS_BIAS = "heads_bias"


@dataclasses.dataclass(frozen=True)
class Entry:
    """The names and shapes of one tensor in Transformers and in a foreign format.

    Args:
        name: The name in Transformers.
        shape: The shape in Transformers.
        foreign: The name in the foreign format.
        layout: The layout of the foreign array: "same", "transposed", "heads_in", "heads_bias" or "heads_out".
        heads: The number of attention heads.
    """

    name: str
    shape: Shape
    foreign: str
    layout: str
    heads: int

    def to_foreign(self, tensor: np.ndarray) -> np.ndarray:
        """Returns an array of Transformers in the layout of the foreign format, float32."""
        turned = tensor.T if self.layout in (TRANSPOSED, HEADS_IN, HEADS_OUT) else tensor
        return np.ascontiguousarray(turned.reshape(self.foreign_shape), np.float32)

    def to_bundle(self, tensor: np.ndarray) -> np.ndarray:
        """Returns an array of the foreign format in the layout of Transformers, float32."""
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
    """The foreign names and layouts of the parts of a model.

    Args:
        names: The foreign name of each part that the format has, by the keys of `kbert.model_folder.parts.PARTS`.
            "{layer}" stands for the number of a block. The endings below are appended to the name. A tuple gives the
            complete name of each tensor instead.
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
        """Returns the foreign names of the tensors of a part; `layer` is the index of the block, from 0."""
        names = self.names[part]
        if isinstance(names, str):
            endings = {TABLE: ("",), DENSE: self.dense, NORM: self.norm}[PARTS[part].kind]
            names = tuple(names + ending for ending in endings)
        return tuple(name.format(layer=layer + self.first_layer) for name in names)

    def entries(self, config: BertConfig, classes: int = 2) -> list[Entry]:
        """Returns the entries of the table for a model of this shape.

        Args:
            config: The shape of the model. If it comes from a foreign file, call `check_depth` first.
            classes: The number of classes if the table has a classifier.
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
        """Yields each part and the index of its block: embeddings, blocks, and the other parts in the table's order."""
        yield from ((part, 0) for part in EMBEDDINGS if part in self.names)
        yield from ((part, layer) for layer in range(layers) for part in BLOCK if part in self.names)
        yield from ((part, 0) for part in self.names if part not in (*EMBEDDINGS, *BLOCK))


def check_depth(config: BertConfig, foreign_shapes: Mapping[str, Sequence[int]], where: object) -> None:
    """Checks that a file has enough tensors for the number of layers, before a table of that length is created.

    Args:
        config: The config from the foreign file.
        foreign_shapes: The tensors that the file holds, with their shapes.
        where: The foreign file, for messages.

    Raises:
        BundleError: There are more layers than tensors.
    """
    if config.num_hidden_layers > len(foreign_shapes):
        raise BundleError(
            f"{where} holds {len(foreign_shapes)} tensors, too few for the {config.num_hidden_layers} layers in the "
            "configuration"
        )


def read_entries(
    table: Iterable[Entry],
    foreign_shapes: Mapping[str, Sequence[int]],
    read: Callable[[str], np.ndarray],
    where: object,
) -> dict[str, np.ndarray]:
    """Reads tensors from a foreign format, after checking the shapes of all of them.

    Args:
        table: The entries of the tensors to read.
        foreign_shapes: The tensors that the foreign file holds, with their shapes.
        read: Returns the array with a foreign name.
        where: The foreign file, for messages.

    Returns:
        The tensors by Transformers' names, float32.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    table = list(table)
    for entry in table:
        wanted = entry.foreign_shape
        if entry.foreign not in foreign_shapes:
            raise BundleError(f"{where} has no tensor {entry.foreign} of shape {list(wanted)}")
        if tuple(foreign_shapes[entry.foreign]) != wanted:
            raise BundleError(
                f"{where}: the tensor {entry.foreign} must have the shape {list(wanted)}, as the configuration says. "
                f"Received: {list(foreign_shapes[entry.foreign])}"
            )
    return {entry.name: entry.to_bundle(read(entry.foreign)) for entry in table}
