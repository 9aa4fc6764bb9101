"""The variables of a model under the tensor names of Hugging Face Transformers.

A tensor name is bound to a variable, or to a third of the fused query-key-value kernel. Kernels are transposed, since
PyTorch stores [out, in] and Keras [in, out]. The names are those of `kbert.model_folder.parts`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kbert.layers.attention import QKV_COLUMNS
from kbert.model_folder.architectures import check_tensor
from kbert.model_folder.parts import (
    BLOCK,
    BOTTLENECK,
    CLASSIFIER_TENSORS,
    CRF,
    EMBEDDINGS,
    ENCODER_PREFIX,
    MLM,
    NORM,
    NSP,
    PARTS,
    POOLER_PREFIX,
    TABLE,
    is_bottleneck,
)
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.regression import RegressionModel


@dataclasses.dataclass(frozen=True)
class TensorBinding:
    """The variable that holds a named tensor.

    Args:
        variable: The Keras variable.
        transposed: Whether the tensor is the variable's transpose.
        columns: The part of the variable along its last axis, as (index, number of equal parts); None for the whole
            variable.
        layer: The layer whose kernel the variable is, since LoRA may add to the kernel; None for other variables.
    """

    variable: Any
    transposed: bool = False
    columns: tuple[int, int] | None = None
    layer: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the named tensor."""
        shape = list(self.variable.shape)
        if self.columns:
            shape[-1] //= self.columns[1]
        return tuple(reversed(shape)) if self.transposed else tuple(shape)

    def read(self) -> np.ndarray:
        """Returns the named tensor, float32, with what LoRA adds to it."""
        value = np.asarray(self.variable if self.layer is None else self.layer.merged_kernel())
        if self.columns:
            value = np.split(value, self.columns[1], axis=-1)[self.columns[0]]
        return np.ascontiguousarray(value.T if self.transposed else value)

    def stored(self, tensor: np.ndarray) -> np.ndarray:
        """Returns the values for the variable, or for its part, given the named tensor."""
        return tensor.T if self.transposed else tensor


@dataclasses.dataclass(frozen=True)
class ScaledTensorBinding(TensorBinding):
    """A binding whose tensor is the variable times `factor` plus `shift`.

    It folds a scaling that follows the variable, such as that of `RegressionModel`, into the named tensor.

    Args:
        factor: The factor; any number except 0.
        shift: The number that is added to a bias; 0 for a kernel.
    """

    factor: float = 1.0
    shift: float = 0.0

    def read(self) -> np.ndarray:
        """Returns the named tensor, float32."""
        return (super().read().astype(np.float64) * self.factor + self.shift).astype(np.float32)

    def stored(self, tensor: np.ndarray) -> np.ndarray:
        """Returns the values for the variable, given the named tensor."""
        return ((super().stored(tensor).astype(np.float64) - self.shift) / self.factor).astype(np.float32)


TensorBindings = dict[str, TensorBinding]


def part_bindings(part: str, owner: Any, *, layer: int = 0, columns: tuple[int, int] | None = None) -> TensorBindings:
    """Returns the bindings of one part of the model.

    Args:
        part: The name of the part in `kbert.model_folder.parts.PARTS`.
        owner: The object with its variables: a dense layer, a LayerNorm, or the variable itself.
        layer: The number of the block.
        columns: The columns of the part in a layer that holds several parts side by side; see `TensorBinding`.
    """
    kind = PARTS[part].kind
    if kind == TABLE:
        bindings = [TensorBinding(owner)]
    elif kind == NORM:
        bindings = [TensorBinding(owner.gamma), TensorBinding(owner.beta)]
    else:
        bindings = [TensorBinding(owner.kernel, True, columns, owner), TensorBinding(owner.bias, False, columns)]
    return dict(zip(PARTS[part].names(layer), bindings, strict=True))


def encoder_bindings(encoder: BertEncoder, prefix: str = ENCODER_PREFIX) -> TensorBindings:
    """Returns the bindings of an encoder. The prefix of their names is "bert." in models with heads."""
    embeddings = encoder.embeddings
    tables = (embeddings.token_table, embeddings.position_table, embeddings.type_table, embeddings.norm)
    bindings: TensorBindings = {}
    for part, owner in zip(EMBEDDINGS, tables, strict=True):
        bindings |= part_bindings(part, owner)
    for index, block in enumerate(encoder.blocks):
        qkv = block.attention.qkv
        owners = {
            **{part: (qkv, columns) for part, columns in QKV_COLUMNS.items()},
            "attention_output": (block.attention.output_projection, None),
            "attention_norm": (block.attention_norm, None),
            "intermediate": (block.intermediate, None),
            "output": (block.output_projection, None),
            "output_norm": (block.output_norm, None),
        }
        for part in BLOCK:
            owner, columns = owners[part]
            bindings |= part_bindings(part, owner, layer=index, columns=columns)
        if block.bottleneck is not None:
            for part, owner in zip(BOTTLENECK, (block.bottleneck.down, block.bottleneck.up), strict=True):
                bindings |= part_bindings(part, owner, layer=index)
    if encoder.pooler is not None:
        bindings |= part_bindings("pooler", encoder.pooler.dense)
    return {prefix + name.removeprefix(ENCODER_PREFIX): binding for name, binding in bindings.items()}


def masked_language_model_bindings(model: MaskedLanguageModel | PretrainingModel) -> TensorBindings:
    """Returns the bindings of an encoder and of the head that predicts tokens.

    The output projection of the head is tied to the token table, so it has no tensor of its own.
    """
    head = model.mlm_head
    return {
        **encoder_bindings(model.encoder),
        **part_bindings("mlm_bias", head.bias),
        **part_bindings("mlm_dense", head.dense),
        **part_bindings("mlm_norm", head.norm),
    }


def pretraining_bindings(model: PretrainingModel) -> TensorBindings:
    """Returns the bindings of a pretraining model."""
    return {**masked_language_model_bindings(model), **part_bindings("nsp", model.nsp_head)}


def next_sentence_bindings(model: Any) -> TensorBindings:
    """Returns the bindings of a classification model whose two classes are those of next sentence prediction."""
    return {**encoder_bindings(model.encoder), **part_bindings("nsp", model.head.dense)}


def classifier_bindings(model: Any) -> TensorBindings:
    """Returns the bindings of a model with a classifier of texts, tokens or choices as its `head`."""
    return {**encoder_bindings(model.encoder), **part_bindings("classifier", model.head.dense)}


def regression_bindings(model: RegressionModel) -> TensorBindings:
    """Returns the bindings of a regression model, whose mean and deviation are folded into `classifier`."""
    dense = model.head.dense
    weight, bias = CLASSIFIER_TENSORS
    return {
        **encoder_bindings(model.encoder),
        weight: ScaledTensorBinding(dense.kernel, True, factor=model.deviation),
        bias: ScaledTensorBinding(dense.bias, factor=model.deviation, shift=model.mean),
    }


def tagger_bindings(model: Any) -> TensorBindings:
    """Returns the bindings of a token classification model, including those of its CRF."""
    bindings = classifier_bindings(model)
    if model.crf is not None:
        tables = model.crf.tables
        owners = (tables["start_transitions"], tables["end_transitions"], tables["transitions"])
        for part, owner in zip(CRF, owners, strict=True):
            bindings |= part_bindings(part, owner)
    return bindings


def question_answering_bindings(model: QuestionAnsweringModel) -> TensorBindings:
    """Returns the bindings of a question answering model."""
    return {**encoder_bindings(model.encoder), **part_bindings("span", model.head)}


def relation_bindings(model: Any) -> TensorBindings:
    """Returns the bindings of a model of relations."""
    return {**classifier_bindings(model), **part_bindings("relation", model.dense)}


def semantic_roles_bindings(model: Any) -> TensorBindings:
    """Returns the bindings of a model of semantic roles, including those of its senses."""
    bindings = {**classifier_bindings(model), **part_bindings("predicates", model.predicates.dense)}
    return bindings if model.senses is None else bindings | part_bindings("senses", model.senses.dense)


def read_tensors(bindings: Mapping[str, TensorBinding]) -> dict[str, np.ndarray]:
    """Returns all named tensors, float32."""
    return {name: binding.read() for name, binding in bindings.items()}


def assign_tensors(bindings: Mapping[str, TensorBinding], tensors: Mapping[str, np.ndarray]) -> None:
    """Assigns named tensors to the variables that they are bound to.

    Raises:
        BundleError: A tensor is missing or has a wrong shape.
    """
    values: dict[int, tuple[TensorBinding, dict[int, np.ndarray]]] = {}
    for name, binding in bindings.items():
        check_tensor(name, binding.shape, np.shape(tensors[name]) if name in tensors else None)
        tensor = np.asarray(tensors[name]).astype(np.float32, copy=False)
        index = binding.columns[0] if binding.columns else 0
        parts = values.setdefault(id(binding.variable), (binding, {}))[1]
        parts[index] = binding.stored(tensor)
    for binding, parts in values.values():
        assign = binding.variable.assign if binding.layer is None else binding.layer.assign_kernel
        assign(np.concatenate([parts[index] for index in sorted(parts)], axis=-1))


_OPTIONAL = (POOLER_PREFIX, f"{MLM}.", f"{NSP}.")
"""The prefixes of the parts of a pretraining model that are optional in the weights it starts from."""


def assign_pretrained(bindings: Mapping[str, TensorBinding], tensors: Mapping[str, np.ndarray]) -> None:
    """Assigns tensors to the encoder of a model, and to those of its pretraining heads that have tensors.

    Raises:
        BundleError: A tensor is missing or has a wrong shape.
    """
    absent = tuple(head for head in _OPTIONAL if not any(name.startswith(head) for name in tensors))
    new = new_bottlenecks(bindings, tensors)
    kept = {name: each for name, each in bindings.items() if name not in new and not name.startswith(absent)}
    assign_tensors(kept, tensors)


def new_bottlenecks(bindings: Iterable[str], tensors: Iterable[str]) -> set[str]:
    """Returns the names of the tensors of bottleneck adapters that are not among those of a starting model."""
    return {name for name in bindings if is_bottleneck(name)} - set(tensors)
