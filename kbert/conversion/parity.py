"""The check at the end of every conversion: source and destination compute the same outputs for random inputs.

The outputs are those of the models that `kbert.load_model` returns, so the compared heads are the heads that users get.
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
"""The largest allowed difference of an output. A different order of float32 operations usually stays below 2e-5."""


def bundle_outputs(bundle: Bundle, batches: Sequence[Batch]) -> list[Outputs]:
    """Returns the outputs of kbert's model of a bundle for each batch: those of the encoder and those of the head.

    Args:
        bundle: The model. If kbert has no model with this head (`has_model`), only the encoder is run.
        batches: The inputs.

    Raises:
        BundleError: A tensor is missing or unexpected, or its shape differs from config.json.
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
        # The outputs of a model with a CRF include its transition tables. `check_tensors` compares them as weights.
        found = {name: np.asarray(value) for name, value in outputs.items() if "transitions" not in name}
        results.append(batch.inside(found))
    return results


def has_model(bundle: Bundle) -> bool:
    """Returns whether kbert has a model with the head of a bundle.

    It has no model whose decoder is not the token table.
    """
    name = fitting_architecture(bundle.architecture, frozenset(bundle.tensors))
    return name in ARCHITECTURES and DECODER not in bundle.tensors


def _head_inputs(model: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the inputs of a batch in the form that the head expects; a masked language model predicts every token.

    The entities of a relation are the first two tokens.
    """
    ids = inputs[features.INPUT_WORD_IDS.name]
    if isinstance(model, MultipleChoiceModel):
        return {name: value[:, None] for name, value in inputs.items()}  # one choice per example
    positions = np.tile(np.arange(ids.shape[1], dtype=np.int32), (len(ids), 1))
    return {
        **inputs,
        features.MASKED_LM_POSITIONS.name: positions,
        features.ENTITY_POSITIONS.name: positions[:, :2],
    }


def largest_differences(expected: Sequence[Outputs], received: Sequence[Outputs]) -> dict[str, float]:
    """Returns the largest absolute difference of each output that both sides have; infinity if it is not finite.

    Args:
        expected: The outputs of the source for each batch.
        received: The outputs of the destination for each batch.

    Raises:
        ParityError: The shapes of an output differ.
    """
    differences: dict[str, float] = {}
    for ours, theirs in zip(expected, received, strict=True):
        for name in ours.keys() & theirs.keys():
            if ours[name].shape != theirs[name].shape:
                raise ParityError(f"{name} must have the shape {ours[name].shape}. Received: {theirs[name].shape}")
            largest = float(np.abs(ours[name] - theirs[name]).max(initial=0.0))
            differences[name] = max(differences.get(name, 0.0), largest if np.isfinite(largest) else float("inf"))
    return dict(sorted(differences.items(), reverse=True))


def as_float32(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns tensors as float32, which foreign formats store. float16 and bfloat16 stay exact; float64 is rounded."""
    return {name: np.asarray(tensor).astype(np.float32, copy=False) for name, tensor in tensors.items()}


def check_tensors(expected: Mapping[str, np.ndarray], received: Mapping[str, np.ndarray], what: object) -> None:
    """Checks that both sides have the same tensors, bit for bit.

    Args:
        expected: The tensors of the source.
        received: The tensors that were read from the destination.
        what: The name of the destination's format, for messages.

    Raises:
        ParityError: A tensor is missing, unexpected or different.
    """
    for name in sorted(expected.keys() | received.keys()):
        if name not in expected or name not in received:
            raise ParityError(f"{what}: only one of source and destination has the tensor {name}; nothing was written")
        if expected[name].tobytes() != received[name].tobytes() or expected[name].shape != received[name].shape:
            raise ParityError(f"{what}: the written tensor {name} differs from the source's; nothing was written")
