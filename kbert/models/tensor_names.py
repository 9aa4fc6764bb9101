"""The variables of a model under the tensor names of Hugging Face Transformers.

A name stands for a slot: a variable, or a third of the fused query-key-value kernel, transposed where PyTorch
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
class Slot:
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
class ScaledSlot(Slot):
    """A slot whose tensor is the variable times `factor` plus `shift`: what follows the variable is folded into it.

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


Slots = dict[str, Slot]


def encoder_slots(encoder: BertEncoder, prefix: str = "bert.") -> Slots:
    """The slots of an encoder; `prefix` is "bert." inside models with heads."""
    slots: Slots = {}
    embeddings = encoder.embeddings
    slots["embeddings.word_embeddings.weight"] = Slot(embeddings.token_table)
    slots["embeddings.position_embeddings.weight"] = Slot(embeddings.position_table)
    slots["embeddings.token_type_embeddings.weight"] = Slot(embeddings.type_table)
    slots |= norm_slots("embeddings.LayerNorm", embeddings.norm)
    for index, block in enumerate(encoder.blocks):
        name = f"encoder.layer.{index}"
        for part, kind in enumerate(("query", "key", "value")):
            slots |= projection_slots(f"{name}.attention.self.{kind}", block.attention.qkv, (part, 3))
        slots |= projection_slots(f"{name}.attention.output.dense", block.attention.output_projection)
        slots |= norm_slots(f"{name}.attention.output.LayerNorm", block.attention_norm)
        slots |= projection_slots(f"{name}.intermediate.dense", block.intermediate)
        slots |= projection_slots(f"{name}.output.dense", block.output_projection)
        slots |= norm_slots(f"{name}.output.LayerNorm", block.output_norm)
    if encoder.pooler is not None:
        slots |= projection_slots("pooler.dense", encoder.pooler.dense)
    return {prefix + name: slot for name, slot in slots.items()}


def masked_language_model_slots(model: MaskedLanguageModel | PretrainingModel) -> Slots:
    """The slots of an encoder and of the head that predicts tokens; its tied projection has no tensor of its own."""
    head = model.mlm_head
    return {
        **encoder_slots(model.encoder),
        "cls.predictions.bias": Slot(head.bias),
        **projection_slots("cls.predictions.transform.dense", head.dense),
        **norm_slots("cls.predictions.transform.LayerNorm", head.norm),
    }


def pretraining_slots(model: PretrainingModel) -> Slots:
    """The slots of a pretraining model."""
    return {**masked_language_model_slots(model), **projection_slots("cls.seq_relationship", model.nsp_head)}


def classifier_slots(model: Any) -> Slots:
    """The slots of a model with a classifier `head`: of texts, of tokens, or of choices."""
    return {**encoder_slots(model.encoder), **projection_slots("classifier", model.head.dense)}


def regression_slots(model: RegressionModel) -> Slots:
    """The slots of a model of numbers; mean and deviation are folded into `classifier`."""
    dense = model.head.dense
    return {
        **encoder_slots(model.encoder),
        "classifier.weight": ScaledSlot(dense.kernel, True, factor=model.deviation),
        "classifier.bias": ScaledSlot(dense.bias, factor=model.deviation, shift=model.mean),
    }


def tagger_slots(model: Any) -> Slots:
    """The slots of a token classification model, its CRF included."""
    slots = classifier_slots(model)
    if model.crf is not None:
        slots |= {f"crf.{name}": Slot(variable) for name, variable in model.crf.tables.items()}
    return slots


def question_answering_slots(model: QuestionAnsweringModel) -> Slots:
    """The slots of a question answering model."""
    return {**encoder_slots(model.encoder), **projection_slots("qa_outputs", model.head)}


def projection_slots(name: str, layer: Any, part: tuple[int, int] | None = None) -> Slots:
    """The slots of a dense layer."""
    return {f"{name}.weight": Slot(layer.kernel, True, part), f"{name}.bias": Slot(layer.bias, False, part)}


def norm_slots(name: str, layer: Any) -> Slots:
    """The slots of a LayerNorm."""
    return {f"{name}.weight": Slot(layer.gamma), f"{name}.bias": Slot(layer.beta)}


def read_tensors(slots: Mapping[str, Slot]) -> dict[str, np.ndarray]:
    """All named tensors, float32."""
    return {name: slot.read() for name, slot in slots.items()}


def assign_tensors(slots: Mapping[str, Slot], tensors: Mapping[str, np.ndarray]) -> None:
    """Sets the variables behind `slots` from named tensors.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    values: dict[int, tuple[Any, dict[int, np.ndarray]]] = {}
    for name, slot in slots.items():
        if name not in tensors:
            raise BundleError(f"the weights lack the tensor {name} of shape {list(slot.shape)}")
        tensor = np.asarray(tensors[name]).astype(np.float32, copy=False)
        if tensor.shape != slot.shape:
            raise BundleError(
                f"the tensor {name} must have the shape {list(slot.shape)} that config.json says. "
                f"Received: {list(tensor.shape)}"
            )
        index = slot.part[0] if slot.part else 0
        parts = values.setdefault(id(slot.variable), (slot.variable, {}))[1]
        parts[index] = slot.stored(tensor)
    for variable, parts in values.values():
        variable.assign(np.concatenate([parts[index] for index in sorted(parts)], axis=-1))


_HEADS = ("bert.pooler.", "cls.predictions.", "cls.seq_relationship.")


def assign_pretrained(slots: Mapping[str, Slot], tensors: Mapping[str, np.ndarray]) -> None:
    """Sets what `tensors` hold of a model: its encoder, and those heads of pretraining that are there.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    absent = tuple(head for head in _HEADS if not any(name.startswith(head) for name in tensors))
    assign_tensors({name: slot for name, slot in slots.items() if not name.startswith(absent)}, tensors)
