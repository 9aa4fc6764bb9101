"""The tensors of each BERT architecture: names and shapes, from the configuration alone.

Names are those of Hugging Face Transformers, matrices are [out, in]. Nothing is allocated here, so that a
file of weights can be checked against its configuration before either is believed.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping

from kbert.config import BertConfig
from kbert.errors import BundleError, ConfigError, shown

Shape = tuple[int, ...]
TensorShapes = Iterator[tuple[str, Shape]]


def encoder_tensors(config: BertConfig, *, pooler: bool = True) -> TensorShapes:
    """Yields (name, shape) of the encoder's tensors, all with the prefix "bert."."""
    width, inner = config.hidden_size, config.intermediate_size
    yield "bert.embeddings.word_embeddings.weight", (config.vocab_size, width)
    yield "bert.embeddings.position_embeddings.weight", (config.max_position_embeddings, width)
    yield "bert.embeddings.token_type_embeddings.weight", (config.type_vocab_size, width)
    yield from _norm("bert.embeddings.LayerNorm", width)
    for index in range(config.num_hidden_layers):
        name = f"bert.encoder.layer.{index}"
        for kind in ("query", "key", "value"):
            yield from _dense(f"{name}.attention.self.{kind}", width, width)
        yield from _dense(f"{name}.attention.output.dense", width, width)
        yield from _norm(f"{name}.attention.output.LayerNorm", width)
        yield from _dense(f"{name}.intermediate.dense", inner, width)
        yield from _dense(f"{name}.output.dense", width, inner)
        yield from _norm(f"{name}.output.LayerNorm", width)
    if pooler:
        yield from _dense("bert.pooler.dense", width, width)


def _dense(name: str, outputs: int, inputs: int) -> TensorShapes:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int) -> TensorShapes:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _predictions(config: BertConfig, _: int) -> TensorShapes:
    width = config.hidden_size
    yield "cls.predictions.bias", (config.vocab_size,)
    yield from _dense("cls.predictions.transform.dense", width, width)
    yield from _norm("cls.predictions.transform.LayerNorm", width)


def _pretraining(config: BertConfig, classes: int) -> TensorShapes:
    yield from _predictions(config, classes)
    yield from _dense("cls.seq_relationship", 2, config.hidden_size)


def _classifier(config: BertConfig, classes: int) -> TensorShapes:
    yield from _dense("classifier", classes, config.hidden_size)


def _crf(classes: int) -> TensorShapes:
    yield "crf.start_transitions", (classes,)
    yield "crf.end_transitions", (classes,)
    yield CRF_TENSOR, (classes, classes)


def _choice(config: BertConfig, _: int) -> TensorShapes:
    yield from _dense("classifier", 1, config.hidden_size)


def _span(config: BertConfig, _: int) -> TensorShapes:
    yield from _dense("qa_outputs", 2, config.hidden_size)


def _nothing(_: BertConfig, __: int) -> TensorShapes:
    return iter(())


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What Transformers calls a model with a head.

    Args:
        pooler: Whether it has the pooler.
        head: Gives the tensors of its head, from the configuration and the number of classes.
    """

    pooler: bool
    head: Callable[[BertConfig, int], TensorShapes]

    def tensors(self, config: BertConfig, classes: int) -> TensorShapes:
        """Yields (name, shape) of all tensors."""
        yield from encoder_tensors(config, pooler=self.pooler)
        yield from self.head(config, classes)


ARCHITECTURES: Mapping[str, Architecture] = {
    "BertModel": Architecture(True, _nothing),
    "BertForPreTraining": Architecture(True, _pretraining),
    "BertForMaskedLM": Architecture(False, _predictions),
    "BertForSequenceClassification": Architecture(True, _classifier),
    "BertForTokenClassification": Architecture(False, _classifier),
    "BertForQuestionAnswering": Architecture(False, _span),
    "BertForMultipleChoice": Architecture(True, _choice),
}

CRF_TENSOR = "crf.transitions"
"""kbert's own taggers may have a CRF, which Transformers leaves aside."""

# Checkpoints may hold these beside what their architecture uses: they were pretrained with them.
_UNUSED_PARTS = ("bert.pooler.", "cls.seq_relationship.")
_HEADS = ("cls.", "classifier.", "qa_outputs.")
_UNTIED = "cls.predictions.decoder.weight"


def parameter_count(config: BertConfig, architecture: str = "BertModel", classes: int = 2) -> int:
    """How many numbers a model has; tied tensors are counted once."""
    return sum(math.prod(shape) for _, shape in _architecture(architecture).tensors(config, classes))


def fitting_architecture(architecture: str, names: frozenset[str]) -> str:
    """The architecture that uses most of the tensors called `names`.

    bert-base-uncased and its like say "BertForMaskedLM" and hold the next-sentence head and the pooler too.
    """
    if architecture == "BertForMaskedLM" and {"cls.seq_relationship.weight", "bert.pooler.dense.weight"} <= names:
        return "BertForPreTraining"
    return architecture


def guessed_architecture(names: frozenset[str]) -> str:
    """The architecture that tensors called `names` are of, where config.json names none."""
    if "cls.predictions.bias" in names:
        return fitting_architecture("BertForMaskedLM", names)
    return "BertForQuestionAnswering" if "qa_outputs.weight" in names else "BertModel"


def check_encoder(shapes: Mapping[str, Shape], config: BertConfig) -> None:
    """Checks that tensors of these shapes hold the encoder that `config` describes; the pooler is optional.

    Heads are not checked. An additional tensor inside the encoder is an error, since it would change what is computed.

    Raises:
        BundleError: A tensor is missing, has another shape, or does not belong to such an encoder.
    """
    known = _check(shapes, _encoder_found(shapes, config))
    for name in shapes:
        if name.startswith("bert.") and name not in known and not name.startswith(_UNUSED_PARTS):
            raise BundleError(
                f"the tensor {shown(name)} is no part of a BERT of the {config.num_hidden_layers} layers that "
                "config.json gives; the model computes something else, and kbert cannot load it"
            )


def check_architecture(shapes: Mapping[str, Shape], config: BertConfig, architecture: str, classes: int) -> None:
    """Checks that tensors of these shapes are the model, all of it and nothing else.

    Raises:
        BundleError: A tensor is missing, unexpected or of another shape.
        ConfigError: There is no such architecture in kbert.
    """
    expected = _architecture(architecture).tensors(config, classes)
    if architecture == "BertModel":
        expected = _encoder_found(shapes, config)
    if CRF_TENSOR in shapes and architecture == "BertForTokenClassification":
        expected = itertools.chain(expected, _crf(classes))
    known = _check(shapes, expected)
    own = tuple(head for head in _HEADS if any(name.startswith(head) for name in known))
    for name in shapes:
        if name == _UNTIED and "cls." in own:
            raise BundleError(
                f"the tensor {name} differs from the token table, and kbert's masked language models project with that "
                "table alone; the encoder can be used, for example by `kbert finetune`"
            )
        # The heads of other architectures are ignored, as in Transformers.
        is_other_head = name.startswith(_HEADS) and not name.startswith(own)
        if name not in known and not is_other_head and not name.startswith(_UNUSED_PARTS):
            raise BundleError(f"the tensor {shown(name)} is no part of {architecture}, which config.json says this is")


def _encoder_found(shapes: Mapping[str, Shape], config: BertConfig) -> TensorShapes:
    """An encoder may lack its pooler."""
    return encoder_tensors(config, pooler="bert.pooler.dense.weight" in shapes)


def _architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise ConfigError(f"kbert has no architecture {shown(name)}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def _check(shapes: Mapping[str, Shape], expected: TensorShapes) -> set[str]:
    # Lazily: a configuration may claim a billion layers, and the first one missing ends it.
    known = set()
    for name, shape in expected:
        if name not in shapes:
            raise BundleError(f"the weights lack the tensor {name} of shape {list(shape)}")
        if tuple(shapes[name]) != shape:
            raise BundleError(
                f"the tensor {name} must have the shape {list(shape)} that config.json says. "
                f"Received: {shown(list(shapes[name]))}"
            )
        known.add(name)
    return known
