"""Tables that say where a foreign format keeps each tensor of a BERT, and in what layout.

A table is a list of parts: a name of Hugging Face Transformers with the foreign one beside it, and the part's kind.
A part becomes one or two tensors, whose last names the format gives: a dense layer has a kernel and a bias.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from kbert.config import BertConfig
from kbert.errors import BundleError

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Part:
    """A layer of the model in both formats.

    Args:
        name: Transformers' name; without `weight` and `bias` where the kind has two tensors.
        foreign: The foreign name.
        kind: "table" (as it is), "dense" (kernel transposed), "norm", "heads_in" and "heads_out" (dense layers of
            attention whose kernels have an axis of heads), "linear" (a dense layer whose kernel is not transposed).
    """

    name: str
    foreign: str
    kind: str


@dataclasses.dataclass(frozen=True)
class Endings:
    """What a format appends to the name of a layer.

    Args:
        dense: For kernel and bias.
        norm: For scale and offset.
        linear: For kernel and bias of a "linear" part.
    """

    dense: tuple[str, str]
    norm: tuple[str, str]
    linear: tuple[str, str] = ("", "")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor in both formats.

    Args:
        name: Transformers' name.
        foreign: The foreign name.
        layout: How the array differs: "same", "transposed", "heads_in", "heads_bias" or "heads_out".
        heads: Attention heads, N.
    """

    name: str
    foreign: str
    layout: str
    heads: int

    def to_foreign(self, tensor: np.ndarray) -> np.ndarray:
        """Transformers' array as the foreign format keeps it."""
        turned = tensor.T if self.layout in ("transposed", "heads_in", "heads_out") else tensor
        return np.ascontiguousarray(turned.reshape(self.foreign_shape(tensor.shape)), np.float32)

    def to_bundle(self, tensor: np.ndarray, shape: Shape) -> np.ndarray:
        """A foreign array as an array of Transformers, whose shape is given."""
        if self.layout in ("transposed", "heads_in", "heads_out"):
            tensor = tensor.reshape(shape[::-1]).T
        return np.ascontiguousarray(tensor.reshape(shape), np.float32)

    def foreign_shape(self, shape: Shape) -> Shape:
        """The foreign shape of what Transformers keeps in `shape`."""
        match self.layout:
            case "transposed":
                return shape[::-1]
            case "heads_in":
                return (shape[1], self.heads, shape[0] // self.heads)
            case "heads_bias":
                return (self.heads, shape[0] // self.heads)
            case "heads_out":
                return (self.heads, shape[1] // self.heads, shape[0])
        return shape


_LAYOUTS = {
    "dense": ("transposed", "same"),
    "linear": ("same", "same"),
    "norm": ("same", "same"),
    "heads_in": ("heads_in", "heads_bias"),
    "heads_out": ("heads_out", "same"),
}


def entries(parts: Iterable[Part], endings: Endings, heads: int) -> list[Entry]:
    """The tensors of a table's parts."""
    result = []
    for part in parts:
        if part.kind == "table":
            result.append(Entry(part.name, part.foreign, "same", heads))
            continue
        ends = {"norm": endings.norm, "linear": endings.linear}.get(part.kind, endings.dense)
        for own, end, layout in zip(("weight", "bias"), ends, _LAYOUTS[part.kind], strict=True):
            result.append(Entry(f"{part.name}.{own}", part.foreign + end, layout, heads))
    return result


def bundle_shapes(config: BertConfig) -> dict[str, Shape]:
    """The shape of each tensor that the configuration alone decides, by Transformers' names."""
    width, inner, vocabulary = config.hidden_size, config.intermediate_size, config.vocab_size
    shapes: dict[str, Shape] = {
        "bert.embeddings.word_embeddings.weight": (vocabulary, width),
        "bert.embeddings.position_embeddings.weight": (config.max_position_embeddings, width),
        "bert.embeddings.token_type_embeddings.weight": (config.type_vocab_size, width),
        "cls.predictions.bias": (vocabulary,),
    }

    def add(name: str, *weight: int) -> None:
        shapes[f"{name}.weight"] = weight
        shapes[f"{name}.bias"] = weight[:1]

    add("bert.embeddings.LayerNorm", width)
    for index in range(config.num_hidden_layers):
        layer = f"bert.encoder.layer.{index}"
        for kind in ("query", "key", "value"):
            add(f"{layer}.attention.self.{kind}", width, width)
        add(f"{layer}.attention.output.dense", width, width)
        add(f"{layer}.attention.output.LayerNorm", width)
        add(f"{layer}.intermediate.dense", inner, width)
        add(f"{layer}.output.dense", width, inner)
        add(f"{layer}.output.LayerNorm", width)
    add("bert.pooler.dense", width, width)
    add("cls.predictions.transform.dense", width, width)
    add("cls.predictions.transform.LayerNorm", width)
    add("cls.seq_relationship", 2, width)
    add("qa_outputs", 2, width)
    return shapes


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
    shapes: Mapping[str, Shape],
    foreign_shapes: Mapping[str, Sequence[int]],
    read: Callable[[str], np.ndarray],
    where: object,
) -> dict[str, np.ndarray]:
    """Reads tensors from a foreign format, each only after its shape was found right.

    Args:
        table: The tensors to read.
        shapes: Their shapes in Transformers.
        foreign_shapes: What the foreign file holds, and in what shapes.
        read: Gives the array of a foreign name.
        where: The foreign file, for messages.

    Returns:
        Tensors by Transformers' names, float32.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    table = list(table)
    for entry in table:
        wanted = entry.foreign_shape(shapes[entry.name])
        if entry.foreign not in foreign_shapes:
            raise BundleError(f"{where} lacks the tensor {entry.foreign} of shape {list(wanted)}")
        if tuple(foreign_shapes[entry.foreign]) != wanted:
            raise BundleError(
                f"{where}: the tensor {entry.foreign} must have the shape {list(wanted)} that the configuration says. "
                f"Received: {list(foreign_shapes[entry.foreign])}"
            )
    return {entry.name: entry.to_bundle(read(entry.foreign), shapes[entry.name]) for entry in table}
