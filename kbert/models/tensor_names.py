"""The variables of a model under the tensor names of Hugging Face Transformers.

A name stands for a binding: a variable, or a third of the fused query-key-value kernel, transposed where PyTorch
keeps [out, in] and Keras [in, out].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.errors import BundleError
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.regression import RegressionModel


@dataclasses.dataclass(frozen=True)
class TensorBinding:
    """Where a named tensor lives.

    Args:
        variable: The Keras variable.
        transposed: Whether the tensor is the variable's transpose.
        part: (index, of how many) along the last axis of the variable; None for all of it.
    """

    variable: Any
    transposed: bool = False
    part: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the named tensor."""
        shape = list(self.variable.shape)
        if self.part:
            shape[-1] //= self.part[1]
        return tuple(reversed(shape)) if self.transposed else tuple(shape)

    def read(self) -> np.ndarray:
        """The tensor, float32."""
        value = np.asarray(self.variable)
        if self.part:
            value = np.split(value, self.part[1], axis=-1)[self.part[0]]
        return np.ascontiguousarray(value.T if self.transposed else value)

    def stored(self, tensor: np.ndarray) -> np.ndarray:
        """The named tensor as the variable, or its part, has it."""
        return tensor.T if self.transposed else tensor


@dataclasses.dataclass(frozen=True)
class ScaledTensorBinding(TensorBinding):
    """A binding whose tensor is the variable times `factor` plus `shift`: what follows the variable is folded into it.

    Args:
        factor: Not 0.
        shift: Of a bias.
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


def encoder_bindings(encoder: BertEncoder, prefix: str = "bert.") -> TensorBindings:
    """The bindings of an encoder; `prefix` is "bert." inside models with heads."""
    bindings: TensorBindings = {}
    embeddings = encoder.embeddings
    bindings["embeddings.word_embeddings.weight"] = TensorBinding(embeddings.token_table)
    bindings["embeddings.position_embeddings.weight"] = TensorBinding(embeddings.position_table)
    bindings["embeddings.token_type_embeddings.weight"] = TensorBinding(embeddings.type_table)
    bindings |= norm_bindings("embeddings.LayerNorm", embeddings.norm)
    for index, block in enumerate(encoder.blocks):
        name = f"encoder.layer.{index}"
        for part, kind in enumerate(("query", "key", "value")):
            bindings |= projection_bindings(f"{name}.attention.self.{kind}", block.attention.qkv, (part, 3))
        bindings |= projection_bindings(f"{name}.attention.output.dense", block.attention.output_projection)
        bindings |= norm_bindings(f"{name}.attention.output.LayerNorm", block.attention_norm)
        bindings |= projection_bindings(f"{name}.intermediate.dense", block.intermediate)
        bindings |= projection_bindings(f"{name}.output.dense", block.output_projection)
        bindings |= norm_bindings(f"{name}.output.LayerNorm", block.output_norm)
    if encoder.pooler is not None:
        bindings |= projection_bindings("pooler.dense", encoder.pooler.dense)
    return {prefix + name: binding for name, binding in bindings.items()}


def masked_language_model_bindings(model: MaskedLanguageModel | PretrainingModel) -> TensorBindings:
    """The bindings of an encoder and of the head that predicts tokens; its tied projection has no tensor of its own."""
    head = model.mlm_head
    return {
        **encoder_bindings(model.encoder),
        "cls.predictions.bias": TensorBinding(head.bias),
        **projection_bindings("cls.predictions.transform.dense", head.dense),
        **norm_bindings("cls.predictions.transform.LayerNorm", head.norm),
    }


def pretraining_bindings(model: PretrainingModel) -> TensorBindings:
    """The bindings of a pretraining model."""
    return {**masked_language_model_bindings(model), **projection_bindings("cls.seq_relationship", model.nsp_head)}


def classifier_bindings(model: Any) -> TensorBindings:
    """The bindings of a model with a classifier `head`: of texts, of tokens, or of choices."""
    return {**encoder_bindings(model.encoder), **projection_bindings("classifier", model.head.dense)}


def regression_bindings(model: RegressionModel) -> TensorBindings:
    """The bindings of a model of numbers; mean and deviation are folded into `classifier`."""
    dense = model.head.dense
    return {
        **encoder_bindings(model.encoder),
        "classifier.weight": ScaledTensorBinding(dense.kernel, True, factor=model.deviation),
        "classifier.bias": ScaledTensorBinding(dense.bias, factor=model.deviation, shift=model.mean),
    }


def tagger_bindings(model: Any) -> TensorBindings:
    """The bindings of a token classification model, its CRF included."""
    bindings = classifier_bindings(model)
    if model.crf is not None:
        bindings |= {f"crf.{name}": TensorBinding(variable) for name, variable in model.crf.tables.items()}
    return bindings


def question_answering_bindings(model: QuestionAnsweringModel) -> TensorBindings:
    """The bindings of a question answering model."""
    return {**encoder_bindings(model.encoder), **projection_bindings("qa_outputs", model.head)}


def projection_bindings(name: str, layer: Any, part: tuple[int, int] | None = None) -> TensorBindings:
    """The bindings of a dense layer."""
    return {
        f"{name}.weight": TensorBinding(layer.kernel, True, part),
        f"{name}.bias": TensorBinding(layer.bias, False, part),
    }


def norm_bindings(name: str, layer: Any) -> TensorBindings:
    """The bindings of a LayerNorm."""
    return {f"{name}.weight": TensorBinding(layer.gamma), f"{name}.bias": TensorBinding(layer.beta)}


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
        index = binding.part[0] if binding.part else 0
        parts = values.setdefault(id(binding.variable), (binding.variable, {}))[1]
        parts[index] = binding.stored(tensor)
    for variable, parts in values.values():
        variable.assign(np.concatenate([parts[index] for index in sorted(parts)], axis=-1))


_HEADS = ("bert.pooler.", "cls.predictions.", "cls.seq_relationship.")


def assign_pretrained(bindings: Mapping[str, TensorBinding], tensors: Mapping[str, np.ndarray]) -> None:
    """Sets what `tensors` hold of a model: its encoder, and those heads of pretraining that are there.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    absent = tuple(head for head in _HEADS if not any(name.startswith(head) for name in tensors))
    assign_tensors({name: binding for name, binding in bindings.items() if not name.startswith(absent)}, tensors)
