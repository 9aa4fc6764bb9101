"""The variables of a model under the tensor names of Hugging Face Transformers.

A name is bound to a variable, or to a third of the fused query-key-value kernel, which is transposed where PyTorch
keeps [out, in] and Keras [in, out]. The names are those of `kbert.model_folder.parts`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.errors import BundleError
from kbert.model_folder.parts import (
    BLOCK,
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
)
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.regression import RegressionModel


@dataclasses.dataclass(frozen=True)
class TensorBinding:
    """The variable that a named tensor is kept in.

    Args:
        variable: The Keras variable.
        transposed: Whether the tensor is the variable's transpose.
        columns: (index, of how many) along the last axis of the variable; None for all of it.
    """

    variable: Any
    transposed: bool = False
    columns: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the named tensor."""
        shape = list(self.variable.shape)
        if self.columns:
            shape[-1] //= self.columns[1]
        return tuple(reversed(shape)) if self.transposed else tuple(shape)

    def read(self) -> np.ndarray:
        """The tensor, float32."""
        value = np.asarray(self.variable)
        if self.columns:
            value = np.split(value, self.columns[1], axis=-1)[self.columns[0]]
        return np.ascontiguousarray(value.T if self.transposed else value)

    def stored(self, tensor: np.ndarray) -> np.ndarray:
        """The named tensor as the variable, or its part, has it."""
        return tensor.T if self.transposed else tensor


@dataclasses.dataclass(frozen=True)
class ScaledTensorBinding(TensorBinding):
    """A binding whose tensor is the variable times `factor` plus `shift`: what follows the variable is folded into it.

    Args:
        factor: A number other than 0.
        shift: What is added to a bias; 0 for a kernel.
    """

    factor: float = 1.0
    shift: float = 0.0

    def read(self) -> np.ndarray:
        """The tensor, float32."""
        return (super().read().astype(np.float64) * self.factor + self.shift).astype(np.float32)

    def stored(self, tensor: np.ndarray) -> np.ndarray:
        """The tensor as the variable has it."""
        return ((super().stored(tensor).astype(np.float64) - self.shift) / self.factor).astype(np.float32)


TensorBindings = dict[str, TensorBinding]


def part_bindings(part: str, owner: Any, *, layer: int = 0, columns: tuple[int, int] | None = None) -> TensorBindings:
    """The bindings of one part of the model.

    Args:
        part: Its name in `kbert.model_folder.parts.PARTS`.
        owner: What holds its variables: a dense layer, a LayerNorm, or the variable itself.
        layer: The number of the block.
        columns: The columns of the layer, if it holds several parts side by side; see `TensorBinding`.
    """
    kind = PARTS[part].kind
    if kind == TABLE:
        bindings = [TensorBinding(owner)]
    elif kind == NORM:
        bindings = [TensorBinding(owner.gamma), TensorBinding(owner.beta)]
    else:
        bindings = [TensorBinding(owner.kernel, True, columns), TensorBinding(owner.bias, False, columns)]
    return dict(zip(PARTS[part].names(layer), bindings, strict=True))


def encoder_bindings(encoder: BertEncoder, prefix: str = ENCODER_PREFIX) -> TensorBindings:
    """The bindings of an encoder; `prefix` is "bert." inside models with heads."""
    embeddings = encoder.embeddings
    tables = (embeddings.token_table, embeddings.position_table, embeddings.type_table, embeddings.norm)
    bindings: TensorBindings = {}
    for part, owner in zip(EMBEDDINGS, tables, strict=True):
        bindings |= part_bindings(part, owner)
    for index, block in enumerate(encoder.blocks):
        qkv = block.attention.qkv
        owners = {
            "query": (qkv, (0, 3)),
            "key": (qkv, (1, 3)),
            "value": (qkv, (2, 3)),
            "attention_output": (block.attention.output_projection, None),
            "attention_norm": (block.attention_norm, None),
            "intermediate": (block.intermediate, None),
            "output": (block.output_projection, None),
            "output_norm": (block.output_norm, None),
        }
        for part in BLOCK:
            owner, columns = owners[part]
            bindings |= part_bindings(part, owner, layer=index, columns=columns)
    if encoder.pooler is not None:
        bindings |= part_bindings("pooler", encoder.pooler.dense)
    return {prefix + name.removeprefix(ENCODER_PREFIX): binding for name, binding in bindings.items()}


def masked_language_model_bindings(model: MaskedLanguageModel | PretrainingModel) -> TensorBindings:
    """The bindings of an encoder and of the head that predicts tokens; its tied projection has no tensor of its own."""
    head = model.mlm_head
    return {
        **encoder_bindings(model.encoder),
        **part_bindings("mlm_bias", head.bias),
        **part_bindings("mlm_dense", head.dense),
        **part_bindings("mlm_norm", head.norm),
    }


def pretraining_bindings(model: PretrainingModel) -> TensorBindings:
    """The bindings of a pretraining model."""
    return {**masked_language_model_bindings(model), **part_bindings("nsp", model.nsp_head)}


def next_sentence_bindings(model: Any) -> TensorBindings:
    """The bindings of a classification model whose two classes are those of next sentence prediction."""
    return {**encoder_bindings(model.encoder), **part_bindings("nsp", model.head.dense)}


def classifier_bindings(model: Any) -> TensorBindings:
    """The bindings of a model with a classifier `head`: of texts, of tokens, or of choices."""
    return {**encoder_bindings(model.encoder), **part_bindings("classifier", model.head.dense)}


def regression_bindings(model: RegressionModel) -> TensorBindings:
    """The bindings of a model of numbers; mean and deviation are folded into `classifier`."""
    dense = model.head.dense
    weight, bias = CLASSIFIER_TENSORS
    return {
        **encoder_bindings(model.encoder),
        weight: ScaledTensorBinding(dense.kernel, True, factor=model.deviation),
        bias: ScaledTensorBinding(dense.bias, factor=model.deviation, shift=model.mean),
    }


def tagger_bindings(model: Any) -> TensorBindings:
    """The bindings of a token classification model, its CRF included."""
    bindings = classifier_bindings(model)
    if model.crf is not None:
        tables = model.crf.tables
        owners = (tables["start_transitions"], tables["end_transitions"], tables["transitions"])
        for part, owner in zip(CRF, owners, strict=True):
            bindings |= part_bindings(part, owner)
    return bindings


def question_answering_bindings(model: QuestionAnsweringModel) -> TensorBindings:
    """The bindings of a question answering model."""
    return {**encoder_bindings(model.encoder), **part_bindings("span", model.head)}


def read_tensors(bindings: Mapping[str, TensorBinding]) -> dict[str, np.ndarray]:
    """All named tensors, float32."""
    return {name: binding.read() for name, binding in bindings.items()}


def assign_tensors(bindings: Mapping[str, TensorBinding], tensors: Mapping[str, np.ndarray]) -> None:
    """Sets the variables behind `bindings` from named tensors.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    values: dict[int, tuple[Any, dict[int, np.ndarray]]] = {}
    for name, binding in bindings.items():
        if name not in tensors:
            raise BundleError(f"the weights lack the tensor {name} of shape {list(binding.shape)}")
        tensor = np.asarray(tensors[name]).astype(np.float32, copy=False)
        if tensor.shape != binding.shape:
            raise BundleError(
                f"the tensor {name} must have the shape {list(binding.shape)} that config.json says. "
                f"Received: {list(tensor.shape)}"
            )
        index = binding.columns[0] if binding.columns else 0
        parts = values.setdefault(id(binding.variable), (binding.variable, {}))[1]
        parts[index] = binding.stored(tensor)
    for variable, parts in values.values():
        variable.assign(np.concatenate([parts[index] for index in sorted(parts)], axis=-1))


_OPTIONAL = (POOLER_PREFIX, f"{MLM}.", f"{NSP}.")
"""The prefixes of the parts of a pretraining model that a model may start without."""


def assign_pretrained(bindings: Mapping[str, TensorBinding], tensors: Mapping[str, np.ndarray]) -> None:
    """Sets what `tensors` hold of a model: its encoder, and those heads of pretraining that are there.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    absent = tuple(head for head in _OPTIONAL if not any(name.startswith(head) for name in tensors))
    assign_tensors({name: binding for name, binding in bindings.items() if not name.startswith(absent)}, tensors)
