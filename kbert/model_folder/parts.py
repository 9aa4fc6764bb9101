"""The parts of a BERT: one table of all tensors, with their names in Hugging Face Transformers and their shapes.

This is the only place that defines names and shapes of tensors. The checks of model folders (`architectures.py`), the
variables of Keras models (`kbert.models.tensor_names`) and the foreign formats (`kbert.conversion.tensor_tables`) refer
to parts by their keys in `PARTS`. Matrices have the layout [out, in], as in PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from kbert.config import BertConfig

Shape = tuple[int, ...]
TensorShapes = Iterator[tuple[str, Shape]]

TABLE, DENSE, NORM = "table", "dense", "norm"
"""The kinds of parts, in this order: a single tensor; a weight and a bias; a scale and an offset."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A layer or a table of the model.

    Args:
        name: The name in Transformers; "{layer}" stands for the index of a block. If the part has two tensors, it is
            the prefix that both names share.
        letters: The shape of the first tensor, one character per dimension: V is the size of the vocabulary, P the
            number of positions, T the number of token types, H the hidden size, I the intermediate size, B the width
            of bottleneck adapters, C the number of classes, W three times the hidden size, and a digit is a fixed size.
        kind: "table", "dense" or "norm".
    """

    name: str
    letters: str
    kind: str

    def names(self, layer: int = 0) -> tuple[str, ...]:
        """Returns the names of the part's tensors; `layer` is the index of the block."""
        name = self.name.format(layer=layer)
        return (name,) if self.kind == TABLE else (f"{name}.weight", f"{name}.bias")

    def shapes(self, config: BertConfig, classes: int = 2) -> tuple[Shape, ...]:
        """Returns the shapes of the part's tensors, in the order of `names`.

        Args:
            config: The shape of the model.
            classes: The number of classes, for the parts of a classifier or a CRF.
        """
        sizes = {
            "V": config.vocab_size,
            "P": config.max_position_embeddings,
            "T": config.type_vocab_size,
            "H": config.hidden_size,
            "I": config.intermediate_size,
            "B": config.bottleneck_size or 0,
            "C": classes,
            "W": 3 * config.hidden_size,
        }
        shape = tuple(sizes[letter] if letter in sizes else int(letter) for letter in self.letters)
        return (shape,) if self.kind == TABLE else (shape, shape[:1])


_BLOCK = "bert.encoder.layer.{layer}"

PARTS: Mapping[str, Part] = {
    "token_table": Part("bert.embeddings.word_embeddings.weight", "VH", TABLE),
    "position_table": Part("bert.embeddings.position_embeddings.weight", "PH", TABLE),
    "type_table": Part("bert.embeddings.token_type_embeddings.weight", "TH", TABLE),
    "embedding_norm": Part("bert.embeddings.LayerNorm", "H", NORM),
    "query": Part(f"{_BLOCK}.attention.self.query", "HH", DENSE),
    "key": Part(f"{_BLOCK}.attention.self.key", "HH", DENSE),
    "value": Part(f"{_BLOCK}.attention.self.value", "HH", DENSE),
    "attention_output": Part(f"{_BLOCK}.attention.output.dense", "HH", DENSE),
    "attention_norm": Part(f"{_BLOCK}.attention.output.LayerNorm", "H", NORM),
    "intermediate": Part(f"{_BLOCK}.intermediate.dense", "IH", DENSE),
    "output": Part(f"{_BLOCK}.output.dense", "HI", DENSE),
    "output_norm": Part(f"{_BLOCK}.output.LayerNorm", "H", NORM),
    "bottleneck_down": Part(f"{_BLOCK}.output.bottleneck.down", "BH", DENSE),
    "bottleneck_up": Part(f"{_BLOCK}.output.bottleneck.up", "HB", DENSE),
    "pooler": Part("bert.pooler.dense", "HH", DENSE),
    "mlm_bias": Part("cls.predictions.bias", "V", TABLE),
    "mlm_dense": Part("cls.predictions.transform.dense", "HH", DENSE),
    "mlm_norm": Part("cls.predictions.transform.LayerNorm", "H", NORM),
    "mlm_decoder": Part("cls.predictions.decoder.weight", "VH", TABLE),
    "nsp": Part("cls.seq_relationship", "2H", DENSE),
    "classifier": Part("classifier", "CH", DENSE),
    "span": Part("qa_outputs", "2H", DENSE),
    "relation": Part("relation.dense", "HW", DENSE),
    "predicates": Part("predicates", "3H", DENSE),
    "senses": Part("senses", "CH", DENSE),
    "crf_start": Part("crf.start_transitions", "C", TABLE),
    "crf_end": Part("crf.end_transitions", "C", TABLE),
    "crf_transitions": Part("crf.transitions", "CC", TABLE),
}
"""All parts of all models, by kbert's name for them."""

EMBEDDINGS = ("token_table", "position_table", "type_table", "embedding_norm")
BLOCK = (
    "query",
    "key",
    "value",
    "attention_output",
    "attention_norm",
    "intermediate",
    "output",
    "output_norm",
)
"""The parts that each block of the encoder has."""
BOTTLENECK = ("bottleneck_down", "bottleneck_up")
"""The parts of the bottleneck adapter that each block may have. Transformers does not have them."""
SENSES = ("senses",)
"""The parts of the classifier of senses, which models of semantic roles may have. Its number of classes is its own."""
CRF = ("crf_start", "crf_end", "crf_transitions")
"""The parts of a CRF, which kbert's taggers may have. Transformers ignores them."""

MLM, NSP, CLASSIFIER, QA = "cls.predictions", "cls.seq_relationship", "classifier", "qa_outputs"
RELATION, PREDICATES = "relation", "predicates"
HEADS: Mapping[str, tuple[str, ...]] = {
    MLM: ("mlm_bias", "mlm_dense", "mlm_norm"),
    NSP: ("nsp",),
    CLASSIFIER: ("classifier",),
    QA: ("span",),
    RELATION: ("relation",),
    PREDICATES: ("predicates",),
}
"""The parts of each head. The name of a head is the prefix that the names of its tensors share."""

ENCODER_PREFIX = "bert."
POOLER_PREFIX = "bert.pooler."
HEAD_NAMESPACES = ("cls.", "classifier.", "qa_outputs.", "relation.", "predicates.", "senses.")
"""The prefixes of the tensors of heads: those of Transformers, and kbert's own."""

(TOKEN_TABLE,) = PARTS["token_table"].names()
(DECODER,) = PARTS["mlm_decoder"].names()
"""The output projection of a masked language model. Only a projection that differs from the token table is stored."""
(MLM_BIAS,) = PARTS["mlm_bias"].names()
(CRF_TENSOR,) = PARTS["crf_transitions"].names()
SENSES_TENSOR = PARTS["senses"].names()[0]
POOLER = PARTS["pooler"].names()
CLASSIFIER_TENSORS = PARTS["classifier"].names()


def part_tensors(parts: Iterable[str], config: BertConfig, classes: int = 2, layer: int = 0) -> TensorShapes:
    """Yields the name and shape of each tensor of some parts.

    Args:
        parts: Keys of `PARTS`.
        config: The shape of the model.
        classes: The number of classes, for the parts of a classifier or a CRF.
        layer: The index of the block, for parts of a block.
    """
    for key in parts:
        part = PARTS[key]
        yield from zip(part.names(layer), part.shapes(config, classes), strict=True)


def encoder_tensors(config: BertConfig, *, pooler: bool = True) -> TensorShapes:
    """Yields the name and shape of each tensor of the encoder; all names have the prefix "bert.".

    Args:
        config: The shape of the model.
        pooler: Whether the encoder has a pooler.
    """
    yield from part_tensors(EMBEDDINGS, config)
    for layer in range(config.num_hidden_layers):
        yield from part_tensors(BLOCK, config, layer=layer)
        if config.bottleneck_size is not None:
            yield from part_tensors(BOTTLENECK, config, layer=layer)
    if pooler:
        yield from part_tensors(("pooler",), config)


def is_bottleneck(name: str) -> bool:
    """Returns whether a tensor of this name belongs to a bottleneck adapter."""
    return ".output.bottleneck." in name


def has_pooler(names: Iterable[str]) -> bool:
    """Returns whether a pooler is among tensors of these names."""
    return POOLER[0] in names


def find_heads(names: Iterable[str]) -> frozenset[str]:
    """Returns the heads that have a tensor among these names."""
    names = list(names)
    return frozenset(head for head in HEADS if any(name.startswith(f"{head}.") for name in names))
