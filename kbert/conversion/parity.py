"""The check that ends every conversion: source and destination give the same outputs for random inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kbert import features
from kbert.config import BertConfig
from kbert.conversion import heads, keras_hub, keras_hub_objects
from kbert.conversion.hdf5_files import find_weight_files
from kbert.errors import BundleError, ParityError
from kbert.layers.activations import activation
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.weights import DECODER
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors, encoder_bindings

TOLERANCE = 1e-4
"""Largest difference of an output that is let pass; float32 arithmetic in another order stays below 2e-5 mostly."""

Outputs = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Token ids, a mask and types, int32 [B, S] each."""

    ids: np.ndarray
    mask: np.ndarray
    types: np.ndarray


def random_batches(config: BertConfig) -> list[Batch]:
    """Always the same inputs for a shape: padded texts and pairs, one token alone, and the longest sequence."""
    rng = np.random.default_rng(0)
    length = min(config.max_position_embeddings, 64)
    batches = []
    for size, lengths in (
        (length, [length, max(1, length // 3), 1, max(1, length - 1)]),
        (config.max_position_embeddings, [config.max_position_embeddings]),
    ):
        ends = np.array(lengths)[:, None]
        places = np.arange(size)
        mask = (places < ends).astype(np.int32)
        # Every other row is a pair, cut in the middle.
        second = (places >= ends // 2) & (np.arange(len(lengths))[:, None] % 2 == 0) & (config.type_vocab_size > 1)
        ids = rng.integers(0, config.vocab_size, (len(lengths), size)).astype(np.int32) * mask
        batches.append(Batch(ids, mask, second.astype(np.int32) * mask))
    return batches


def bundle_outputs(bundle: Bundle, batches: Sequence[Batch]) -> list[Outputs]:
    """What kbert's encoder, with the heads that the bundle has tensors of, gives for each batch.

    Raises:
        BundleError: A tensor is missing or has another shape.
    """
    config = bundle.config
    bundle = dataclasses.replace(bundle, tensors=as_float32(bundle.tensors))
    tensors = dict(bundle.tensors)
    pooled = heads.POOLER[0] in tensors
    if not pooled:
        width = config.hidden_size
        tensors |= {heads.POOLER[0]: np.zeros((width, width), np.float32), heads.POOLER[1]: np.zeros(width, np.float32)}
    encoder = BertEncoder(config, precision="float32")
    assign_tensors(encoder_bindings(encoder), tensors)
    results = []
    for batch in batches:
        arrays = dict(
            zip((f.name for f in features.ENCODER_FEATURES), (batch.ids, batch.mask, batch.types), strict=True)
        )
        encoded = {name: np.asarray(value) for name, value in encoder(arrays, training=False).items()}
        if not pooled:
            del encoded["pooled_output"]
        encoded |= _head_outputs(bundle, encoded)
        results.append(_inside(encoded, batch))
    return results


def preset_outputs(folder: Path, bundle: Bundle, batches: Sequence[Batch]) -> list[Outputs]:
    """What KerasHub's own model with the weight files of a preset gives for each batch.

    Args:
        folder: The preset; its files were read and found in order before.
        bundle: The same model. KerasHub's objects are made from its sizes, not from what the preset's JSON says.
        batches: Inputs.
    """
    import keras_hub as library

    sizes = {theirs: getattr(bundle.config, ours) for theirs, ours in keras_hub_objects.SIZES.items()}
    backbone = library.models.BertBackbone(**sizes, dtype="float32")
    files = find_weight_files(folder, keras_hub.WEIGHTS_FILE, keras_hub.WEIGHTS_INDEX)
    backbone.load_weights(str(files[0] if len(files) == 1 else folder / keras_hub.WEIGHTS_INDEX))
    kinds = heads.find_heads(bundle.tensors)
    model = backbone
    if heads.CLASSIFIER in kinds and bundle.architecture == "BertForSequenceClassification":
        model = library.models.BertTextClassifier(backbone, num_classes=len(bundle.tensors["classifier.bias"]))
    elif heads.MLM in kinds and DECODER not in bundle.tensors:
        model = library.models.BertMaskedLM(backbone)
    if model is not backbone:
        model.load_task_weights(str(folder / keras_hub.TASK_WEIGHTS_FILE))
    results = []
    for batch in batches:
        inputs = {"token_ids": batch.ids, "segment_ids": batch.types, "padding_mask": batch.mask}
        outputs = {name: np.asarray(value) for name, value in backbone(inputs, training=False).items()}
        if not any(np.any(bundle.tensors.get(name, 0)) for name in heads.POOLER):
            del outputs["pooled_output"]
        if isinstance(model, library.models.BertTextClassifier):
            outputs["logits"] = np.asarray(model(inputs, training=False))
        elif model is not backbone:
            places = np.tile(np.arange(batch.ids.shape[1], dtype=np.int32), (len(batch.ids), 1))
            outputs["mlm_logits"] = np.asarray(model({**inputs, "mask_positions": places}, training=False))
        results.append(_inside(outputs, batch))
    return results


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


def _head_outputs(bundle: Bundle, encoded: Outputs) -> Outputs:
    tensors, kinds = bundle.tensors, heads.find_heads(bundle.tensors)
    hidden, pooled = encoded["sequence_output"], encoded.get("pooled_output")
    outputs: Outputs = {}

    def linear(values: np.ndarray, name: str) -> np.ndarray:
        return values @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    try:
        if heads.MLM in kinds:
            values = np.asarray(activation(bundle.config.hidden_act)(linear(hidden, f"{heads.MLM}.transform.dense")))
            centred = values - values.mean(-1, keepdims=True)
            scale = np.sqrt((centred * centred).mean(-1, keepdims=True) + bundle.config.layer_norm_eps)
            norm = f"{heads.MLM}.transform.LayerNorm"
            values = centred / scale * tensors[f"{norm}.weight"] + tensors[f"{norm}.bias"]
            outputs["mlm_logits"] = values @ tensors.get(DECODER, tensors[heads.WORDS]).T + tensors[f"{heads.MLM}.bias"]
        if heads.NSP in kinds and pooled is not None:
            outputs["nsp_logits"] = linear(pooled, heads.NSP)
        if heads.CLASSIFIER in kinds:
            of_tokens = bundle.architecture == "BertForTokenClassification"
            values = hidden if of_tokens or pooled is None else pooled
            outputs["token_logits" if of_tokens else "logits"] = linear(values, heads.CLASSIFIER)
        if heads.QA in kinds:
            outputs["span_logits"] = linear(hidden, heads.QA)
    except (KeyError, ValueError) as problem:
        raise BundleError(f"the heads of the source are incomplete, or not of its shape ({problem})") from None
    return outputs


def _inside(outputs: Outputs, batch: Batch) -> Outputs:
    """Outputs without those of padding, which mean nothing."""
    kept = batch.mask == 1
    return {name: value[kept] if value.ndim == 3 else value for name, value in outputs.items()}
