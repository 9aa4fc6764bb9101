"""The tensors of each BERT architecture: names and shapes, from the configuration alone.

Nothing is allocated here, so that a file of weights can be checked against its configuration before either is
believed. The tensors themselves are those of `kbert.model_folder.parts`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping

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
    QA,
    Shape,
    TensorShapes,
    encoder_tensors,
    find_heads,
    has_pooler,
    part_tensors,
)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What Transformers calls a model with a head.

    Args:
        pooler: Whether it has the pooler.
        heads: The heads, by their names in `kbert.model_folder.parts.HEADS`.
        classes: The number of rows of the classifier, if the architecture fixes it.
    """

    pooler: bool
    heads: tuple[str, ...] = ()
    classes: int | None = None

    def tensors(self, config: BertConfig, classes: int) -> TensorShapes:
        """Yields (name, shape) of all tensors."""
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
}

# Checkpoints may hold these beside what their architecture uses: they were pretrained with them.
_UNUSED_PARTS = (POOLER_PREFIX, f"{NSP}.")


def parameter_count(config: BertConfig, architecture: str = "BertModel", classes: int = 2) -> int:
    """How many numbers a model has; tied tensors are counted once."""
    return sum(math.prod(shape) for _, shape in _architecture(architecture).tensors(config, classes))


def fitting_architecture(architecture: str, names: frozenset[str]) -> str:
    """The architecture that uses most of the tensors called `names`.

    bert-base-uncased and its like say "BertForMaskedLM" and hold the next-sentence head and the pooler too.
    """
    if architecture == "BertForMaskedLM" and PARTS["nsp"].names()[0] in names and has_pooler(names):
        return "BertForPreTraining"
    return architecture


def guessed_architecture(names: frozenset[str]) -> str:
    """The architecture that tensors called `names` are of, where config.json names none."""
    if MLM_BIAS in names:
        return fitting_architecture("BertForMaskedLM", names)
    return "BertForQuestionAnswering" if PARTS["span"].names()[0] in names else "BertModel"


def architecture_with(names: frozenset[str]) -> str | None:
    """The architecture whose heads are exactly those among the tensors called `names`; None if there is none.

    A classifier belongs to texts if there is a pooler, and to tokens if there is none.
    """
    heads, pooled = find_heads(names), has_pooler(names)
    for name, architecture in ARCHITECTURES.items():
        if heads == frozenset(architecture.heads) and (pooled or not architecture.pooler or not heads):
            return name
    return None


def check_encoder(shapes: Mapping[str, Shape], config: BertConfig) -> None:
    """Checks that tensors of these shapes hold the encoder that `config` describes; the pooler is optional.

    Heads are not checked. An additional tensor inside the encoder is an error, since it would change what is computed.

    Raises:
        BundleError: A tensor is missing, has another shape, or does not belong to such an encoder.
    """
    known = _check(shapes, _encoder_found(shapes, config))
    for name in shapes:
        if name.startswith(ENCODER_PREFIX) and name not in known and not name.startswith(_UNUSED_PARTS):
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
    wanted = _architecture(architecture)
    expected = wanted.tensors(config, classes)
    if architecture == "BertModel":
        expected = _encoder_found(shapes, config)
    if CRF_TENSOR in shapes and architecture == "BertForTokenClassification":
        expected = itertools.chain(expected, part_tensors(CRF, config, classes))
    known = _check(shapes, expected)
    own = tuple("cls." if head == MLM else f"{head}." for head in wanted.heads)
    for name in shapes:
        if name == DECODER and MLM in wanted.heads:
            raise BundleError(
                f"the tensor {name} differs from the token table, and kbert's masked language models project with that "
                "table alone; the encoder can be used, for example by `kbert finetune`"
            )
        # The heads of other architectures are ignored, as in Transformers.
        is_other_head = name.startswith(HEAD_NAMESPACES) and not name.startswith(own)
        if name not in known and not is_other_head and not name.startswith(_UNUSED_PARTS):
            raise BundleError(f"the tensor {shown(name)} is no part of {architecture}, which config.json says this is")


def _encoder_found(shapes: Mapping[str, Shape], config: BertConfig) -> TensorShapes:
    """The pooler of an encoder is optional."""
    return encoder_tensors(config, pooler=has_pooler(shapes))


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
