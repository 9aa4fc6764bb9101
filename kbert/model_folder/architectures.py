"""The names and shapes of the tensors of each BERT architecture, computed from the configuration.

Nothing is allocated here, so weights can be compared with their configuration before either is trusted. The parts of
the model are defined in `kbert.model_folder.parts`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from kbert.config import BertConfig
from kbert.errors import BundleError, ConfigError, shown
from kbert.model_folder.parts import (
    CLASSIFIER,
    CRF,
    CRF_TENSOR,
    DECODER,
    ENCODER_PREFIX,
    HEAD_NAMESPACES,
    HEADS,
    MLM,
    MLM_BIAS,
    NSP,
    PARTS,
    POOLER_PREFIX,
    PREDICATES,
    QA,
    RELATION,
    SENSES,
    SENSES_TENSOR,
    Shape,
    TensorShapes,
    encoder_tensors,
    find_heads,
    has_pooler,
    part_tensors,
)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A model class of Transformers, or of kbert alone: the encoder with certain heads.

    Args:
        pooler: Whether the model has the pooler.
        heads: The heads of the model, by their names in `kbert.model_folder.parts.HEADS`.
        classes: The number of rows of the classifier if the architecture fixes it, otherwise None.
    """

    pooler: bool
    heads: tuple[str, ...] = ()
    classes: int | None = None

    def tensors(self, config: BertConfig, classes: int) -> TensorShapes:
        """Yields the name and shape of each tensor."""
        yield from encoder_tensors(config, pooler=self.pooler)
        for head in self.heads:
            yield from part_tensors(HEADS[head], config, self.classes or classes)


ARCHITECTURES: Mapping[str, Architecture] = {
    "BertModel": Architecture(pooler=True),
    "BertForPreTraining": Architecture(True, (MLM, NSP)),
    "BertForMaskedLM": Architecture(False, (MLM,)),
    "BertForNextSentencePrediction": Architecture(True, (NSP,)),
    "BertForSequenceClassification": Architecture(True, (CLASSIFIER,)),
    "BertForTokenClassification": Architecture(False, (CLASSIFIER,)),
    "BertForQuestionAnswering": Architecture(False, (QA,)),
    "BertForMultipleChoice": Architecture(True, (CLASSIFIER,), classes=1),
    # Transformers has no classes of these names; its AutoModel opens the encoder.
    "BertForRelations": Architecture(False, (RELATION, CLASSIFIER)),
    "BertForSemanticRoles": Architecture(False, (PREDICATES, CLASSIFIER)),
}

# Pretrained checkpoints may contain these parts although their architecture does not use them.
_UNUSED_PARTS = (POOLER_PREFIX, f"{NSP}.")


def parameter_count(config: BertConfig, architecture: str = "BertModel", classes: int = 2) -> int:
    """Returns the number of parameters of a model; tied tensors are counted once.

    Args:
        config: The shape of the model.
        architecture: The name of the architecture.
        classes: The number of classes if the architecture has a classifier.
    """
    return sum(math.prod(shape) for _, shape in _architecture(architecture).tensors(config, classes))


def fitting_architecture(architecture: str, names: frozenset[str]) -> str:
    """Returns the architecture that uses most of the tensors in a file.

    The config.json of bert-base-uncased and similar models says "BertForMaskedLM", but their weights also contain the
    head for next sentence prediction and the pooler; the result is then "BertForPreTraining".

    Args:
        architecture: The architecture that config.json names.
        names: The names of the tensors.
    """
    if architecture == "BertForMaskedLM" and PARTS["nsp"].names()[0] in names and has_pooler(names):
        return "BertForPreTraining"
    return architecture


def guessed_architecture(names: frozenset[str]) -> str:
    """Returns the architecture that fits tensors of these names, for a config.json that names no architecture."""
    if MLM_BIAS in names:
        return fitting_architecture("BertForMaskedLM", names)
    return "BertForQuestionAnswering" if PARTS["span"].names()[0] in names else "BertModel"


def architecture_with(names: frozenset[str]) -> str | None:
    """Returns the architecture that has exactly the heads among these tensor names, or None if there is none.

    A classifier classifies texts if there is a pooler, and tokens if there is no pooler.
    """
    heads, pooled = find_heads(names), has_pooler(names)
    for name, architecture in ARCHITECTURES.items():
        if heads == frozenset(architecture.heads) and (pooled or not architecture.pooler or not heads):
            return name
    return None


def check_encoder(shapes: Mapping[str, Shape], config: BertConfig) -> None:
    """Checks that tensors of these shapes contain the encoder that `config` describes; the pooler is optional.

    Heads are not checked. An additional tensor inside the encoder is an error, because it belongs to a model with
    another computation.

    Args:
        shapes: The shapes of the tensors, by name.
        config: The shape of the model.

    Raises:
        BundleError: A tensor is missing, has another shape, or does not belong to such an encoder.
    """
    known = _check(shapes, _encoder_found(shapes, config))
    for name in shapes:
        if name.startswith(ENCODER_PREFIX) and name not in known and not name.startswith(_UNUSED_PARTS):
            raise BundleError(
                f"the tensor {shown(name)} is not part of a BERT with the {config.num_hidden_layers} layers that "
                "config.json gives; the model is not a plain BERT, and kbert cannot load it"
            )


def check_architecture(shapes: Mapping[str, Shape], config: BertConfig, architecture: str, classes: int) -> None:
    """Checks that tensors of these shapes are exactly those of a model.

    Args:
        shapes: The shapes of the tensors, by name.
        config: The shape of the model.
        architecture: The name of the architecture.
        classes: The number of classes if the architecture has a classifier.

    Raises:
        BundleError: A tensor is missing or unexpected, or has another shape.
        ConfigError: kbert has no such architecture.
    """
    wanted = _architecture(architecture)
    expected = wanted.tensors(config, classes)
    if architecture == "BertModel":
        expected = _encoder_found(shapes, config)
    if CRF_TENSOR in shapes and architecture == "BertForTokenClassification":
        expected = itertools.chain(expected, part_tensors(CRF, config, classes))
    if SENSES_TENSOR in shapes and architecture == "BertForSemanticRoles":
        expected = itertools.chain(expected, part_tensors(SENSES, config, (*shapes[SENSES_TENSOR], 0)[0]))
    known = _check(shapes, expected)
    own = tuple("cls." if head == MLM else f"{head}." for head in wanted.heads)
    for name in shapes:
        if name == DECODER and MLM in wanted.heads:
            raise BundleError(
                f"the tensor {name} must equal the token table, with which kbert's masked language models project; "
                "the encoder of the model can be used, for example by `kbert finetune`"
            )
        # The heads of other architectures are ignored, as in Transformers.
        is_other_head = name.startswith(HEAD_NAMESPACES) and not name.startswith(own)
        if name not in known and not is_other_head and not name.startswith(_UNUSED_PARTS):
            raise BundleError(
                f"the tensor {shown(name)} is not part of a {architecture}, the architecture that config.json names"
            )


def _encoder_found(shapes: Mapping[str, Shape], config: BertConfig) -> TensorShapes:
    """Yields the tensors of the encoder, with the pooler if it is among `shapes`."""
    return encoder_tensors(config, pooler=has_pooler(shapes))


def _architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise ConfigError(f"kbert has no architecture {shown(name)}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def _check(shapes: Mapping[str, Shape], expected: TensorShapes) -> set[str]:
    # `expected` is lazy: a configuration may claim a billion layers, and the first missing tensor ends the loop.
    known = set()
    for name, shape in expected:
        check_tensor(name, shape, shapes.get(name))
        known.add(name)
    return known


def check_tensor(name: str, expected: Sequence[int], received: Sequence[int] | None) -> None:
    """Checks the shape of a tensor in a model folder.

    Args:
        name: The name of the tensor.
        expected: The shape that config.json requires.
        received: The shape of the tensor; None if it is missing.

    Raises:
        BundleError: The tensor is missing, or its shape differs.
    """
    if received is None:
        raise BundleError(f"expected the tensor {name} of shape {list(expected)}. Received: weights without it")
    if tuple(received) != tuple(expected):
        raise BundleError(
            f"the tensor {name} must have the shape {list(expected)}, which config.json requires. "
            f"Received: {shown(list(received))}"
        )
