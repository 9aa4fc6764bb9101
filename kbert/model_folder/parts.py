"""The parts of a BERT: one table of all tensors, with the names of Hugging Face Transformers and their shapes.

Names and shapes of tensors stand here and nowhere else. The checks of model folders (`architectures.py`), the
variables of Keras models (`kbert.models.tensor_names`) and the foreign formats (`kbert.conversion.tensor_tables`) refer
to parts by their keys in `PARTS`. A matrix is [out, in], as in PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from kbert.config import BertConfig

Shape = tuple[int, ...]
TensorShapes = Iterator[tuple[str, Shape]]

TABLE, DENSE, NORM = "table", "dense", "norm"
"""The kinds of parts: one tensor; a weight and a bias; a scale and an offset."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A layer or a table of the model.

    Args:
        name: The name in Transformers; "{layer}" stands for the number of a block. A part of two tensors has the name
            that both share.
        letters: The shape of the first tensor: V entries of the vocabulary, P positions, T types, width H, inner width
            I, C classes; a digit stands for itself.
        kind: "table", "dense" or "norm".
    """

    name: str
    letters: str
    kind: str

    def names(self, layer: int = 0) -> tuple[str, ...]:
        """Returns the names of the part's tensors; `layer` is the number of a block."""
        name = self.name.format(layer=layer)
        return (name,) if self.kind == TABLE else (f"{name}.weight", f"{name}.bias")

    def shapes(self, config: BertConfig, classes: int = 2) -> tuple[Shape, ...]:
        """Returns the shapes of the part's tensors, in the order of their names."""
        sizes = {
            "V": config.vocab_size,
            "P": config.max_position_embeddings,
            "T": config.type_vocab_size,
            "H": config.hidden_size,
            "I": config.intermediate_size,
            "C": classes,
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
    "pooler": Part("bert.pooler.dense", "HH", DENSE),
    "mlm_bias": Part("cls.predictions.bias", "V", TABLE),
    "mlm_dense": Part("cls.predictions.transform.dense", "HH", DENSE),
    "mlm_norm": Part("cls.predictions.transform.LayerNorm", "H", NORM),
    "mlm_decoder": Part("cls.predictions.decoder.weight", "VH", TABLE),
    "nsp": Part("cls.seq_relationship", "2H", DENSE),
    "classifier": Part("classifier", "CH", DENSE),
    "span": Part("qa_outputs", "2H", DENSE),
    "crf_start": Part("crf.start_transitions", "C", TABLE),
    "crf_end": Part("crf.end_transitions", "C", TABLE),
    "crf_transitions": Part("crf.transitions", "CC", TABLE),
}
"""Every part of every model, by the name that kbert has for it."""

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
CRF = ("crf_start", "crf_end", "crf_transitions")
"""kbert's own taggers may have a CRF, which Transformers ignores."""

MLM, NSP, CLASSIFIER, QA = "cls.predictions", "cls.seq_relationship", "classifier", "qa_outputs"
HEADS: Mapping[str, tuple[str, ...]] = {
    MLM: ("mlm_bias", "mlm_dense", "mlm_norm"),
    NSP: ("nsp",),
    CLASSIFIER: ("classifier",),
    QA: ("span",),
}
"""The parts of each head. The name of a head is the prefix that the names of its tensors share."""

ENCODER_PREFIX = "bert."
POOLER_PREFIX = "bert.pooler."
HEAD_NAMESPACES = ("cls.", "classifier.", "qa_outputs.")
"""The prefixes of the tensors of heads in Transformers."""

(TOKEN_TABLE,) = PARTS["token_table"].names()
(DECODER,) = PARTS["mlm_decoder"].names()
"""The output projection of a masked language model. It exists only if it is not the token table."""
(MLM_BIAS,) = PARTS["mlm_bias"].names()
(CRF_TENSOR,) = PARTS["crf_transitions"].names()
POOLER = PARTS["pooler"].names()
CLASSIFIER_TENSORS = PARTS["classifier"].names()


def part_tensors(parts: Iterable[str], config: BertConfig, classes: int = 2, layer: int = 0) -> TensorShapes:
    """Yields (name, shape) of the tensors of parts; `layer` is the number of the block that they are in."""
    for key in parts:
        part = PARTS[key]
        yield from zip(part.names(layer), part.shapes(config, classes), strict=True)


def encoder_tensors(config: BertConfig, *, pooler: bool = True) -> TensorShapes:
    """Yields (name, shape) of the encoder's tensors, all with the prefix "bert."."""
    yield from part_tensors(EMBEDDINGS, config)
    for layer in range(config.num_hidden_layers):
        yield from part_tensors(BLOCK, config, layer=layer)
    if pooler:
        yield from part_tensors(("pooler",), config)


def has_pooler(names: Iterable[str]) -> bool:
    """Whether tensors of these names have a pooler among them."""
    return POOLER[0] in names


def find_heads(names: Iterable[str]) -> frozenset[str]:
    """Returns the heads among tensor names of Transformers."""
    names = list(names)
    return frozenset(head for head in HEADS if any(name.startswith(f"{head}.") for name in names))
