"""The check that ends every conversion: source and destination give the same outputs for random inputs.

The models that compute are those of `kbert.load_model`, so the heads that are compared are the heads that users get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert import features
from kbert.conversion.batches import Batch, Outputs
from kbert.errors import ParityError
from kbert.model_folder.architectures import ARCHITECTURES, fitting_architecture
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.parts import DECODER, ENCODER_PREFIX, has_pooler
from kbert.models.building import build_model
from kbert.models.encoder import BertEncoder
from kbert.models.multiple_choice import MultipleChoiceModel
from kbert.models.tensor_names import assign_tensors

TOLERANCE = 1e-4
"""Largest difference of an output that is let pass; float32 arithmetic in another order stays below 2e-5 mostly."""


def bundle_outputs(bundle: Bundle, batches: Sequence[Batch]) -> list[Outputs]:
    """What kbert's model of a bundle gives for each batch: the outputs of the encoder, and those of the head.

    Args:
        bundle: The model. If `has_model` says that kbert has no model with this head, only the encoder computes.
        batches: The inputs.

    Raises:
        BundleError: A tensor is missing, unexpected or of another shape than config.json says.
    """
    if not has_model(bundle):
        tensors = {name: tensor for name, tensor in bundle.tensors.items() if name.startswith(ENCODER_PREFIX)}
        bundle = Bundle(bundle.config, bundle.tokenizer, tensors, "BertModel")
    model, bindings = build_model(
        bundle.architecture,
        bundle.config,
        bundle.shapes,
        len(bundle.labels),
        pooled=has_pooler(bundle.tensors),
        precision="float32",
    )
    assign_tensors(bindings, bundle.tensors)
    encoder = model if isinstance(model, BertEncoder) else model.encoder
    results = []
    for batch in batches:
        arrays = (batch.ids, batch.mask, batch.types)
        inputs = {feature.name: array for feature, array in zip(features.ENCODER_FEATURES, arrays, strict=True)}
        encoded = encoder(inputs, training=False)
        outputs = dict(encoded)
        if model is not encoder:
            outputs |= model.heads(encoded, _head_inputs(model, inputs), training=False)
        # A CRF's tables are among the outputs of its model. They are weights, which are compared to the bit.
        found = {name: np.asarray(value) for name, value in outputs.items() if "transitions" not in name}
        results.append(batch.inside(found))
    return results


def has_model(bundle: Bundle) -> bool:
    """Whether kbert has a model with the head of a bundle; it has none whose decoder is not the token table."""
    name = fitting_architecture(bundle.architecture, frozenset(bundle.tensors))
    return name in ARCHITECTURES and DECODER not in bundle.tensors


def _head_inputs(model: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of a batch as the head takes them; a masked language model predicts every token."""
    ids = inputs[features.INPUT_WORD_IDS.name]
    if isinstance(model, MultipleChoiceModel):
        return {name: value[:, None] for name, value in inputs.items()}  # one choice an example
    positions = np.tile(np.arange(ids.shape[1], dtype=np.int32), (len(ids), 1))
    return {**inputs, features.MASKED_LM_POSITIONS.name: positions}


def largest_differences(expected: Sequence[Outputs], received: Sequence[Outputs]) -> dict[str, float]:
    """The largest absolute difference of each output that both have; infinite where one is not a number."""
    differences: dict[str, float] = {}
    for ours, theirs in zip(expected, received, strict=True):
        for name in ours.keys() & theirs.keys():
            if ours[name].shape != theirs[name].shape:
                raise ParityError(f"{name} must have the shape {ours[name].shape}. Received: {theirs[name].shape}")
            largest = float(np.abs(ours[name] - theirs[name]).max(initial=0.0))
            differences[name] = max(differences.get(name, 0.0), largest if np.isfinite(largest) else float("inf"))
    return dict(sorted(differences.items(), reverse=True))


def as_float32(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors as float32, which foreign formats store: half precision is exact in it, float64 is rounded."""
    return {name: np.asarray(tensor).astype(np.float32, copy=False) for name, tensor in tensors.items()}


def check_tensors(expected: Mapping[str, np.ndarray], received: Mapping[str, np.ndarray], what: object) -> None:
    """Every tensor came back, the same to the bit.

    Raises:
        ParityError: One did not.
    """
    for name in sorted(expected.keys() | received.keys()):
        if name not in expected or name not in received:
            raise ParityError(f"{what}: the tensor {name} is on one side alone; nothing was written")
        if expected[name].tobytes() != received[name].tobytes() or expected[name].shape != received[name].shape:
            raise ParityError(f"{what}: the tensor {name} did not come back as it was; nothing was written")
