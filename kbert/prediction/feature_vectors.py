"""Vectors out of an encoder's layers, as features for other programs: of any model folder, for a task or for none."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors.numpy
import tensorflow as tf

from kbert import files
from kbert.errors import UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.model_folder.sentence_transformers import POOLINGS
from kbert.models.embedding import pooled
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors, encoder_bindings
from kbert.tasks.training_rows import strings
from kbert.text.graph.encoder import GraphEncoder

LAST_FOUR = (-4, -3, -2, -1)
"""Layers whose concatenation served best as features in the BERT paper (arXiv 1810.04805, section 5.3)."""


def extract_features(
    model: PathLike,
    texts: Sequence[str],
    *,
    layers: Sequence[int] = (-1,),
    pooling: str = "mean",
    sequence_length: int | None = None,
    batch_size: int = 64,
) -> np.ndarray | list[np.ndarray]:
    """Vectors of an encoder's layers.

    Args:
        model: A model folder, or "hf://owner/name": pretrained, or fine-tuned for any task.
        texts: The texts.
        layers: Whose outputs are taken, joined along the last axis: 1 to N for the blocks, 0 for the embeddings,
            -1 for the last block.
        pooling: "mean" or "max" of a text's tokens, "cls" for the vector of [CLS], "none" for all tokens, [CLS] and
            [SEP] too.
        sequence_length: Longest input in tokens; longer texts lose their end. By default as many as the model was
            fine-tuned with, or its files say, or it has positions.
        batch_size: Texts at a time.

    Returns:
        float32 [texts, layers x H]; with "none" an array [tokens, layers x H] for each text.

    Raises:
        UsageError: There is no such layer or pooling, or the length cannot be.
        BundleError: The model cannot be read.
    """
    if pooling not in (*POOLINGS, "none"):
        raise UsageError(f"pooling must be one of {', '.join(POOLINGS)}, none. Received: pooling={pooling!r}")
    if batch_size < 1:
        raise UsageError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    bundle = Bundle.load(resolve(model))
    positions = bundle.config.max_position_embeddings
    length = (
        bundle.settings.get("sequence_length", bundle.longest_input) if sequence_length is None else sequence_length
    )
    if not isinstance(length, int) or not 5 <= length <= positions:
        raise UsageError(
            f"sequence_length must be from 5 to the model's {positions} positions. Received: sequence_length={length}"
        )
    encoder = BertEncoder(bundle.config, pooled=False)
    outputs = _layers(encoder, layers)
    assign_tensors(encoder_bindings(encoder), bundle.tensors)
    return _vectors(outputs, GraphEncoder(bundle.tokenizer.to_graph(), length), texts, pooling, batch_size)


def _layers(encoder: BertEncoder, layers: Sequence[int]) -> Any:
    """A model from features to the outputs of some layers, joined, float32 [B, S, layers x H]."""
    found = [encoder.embeddings.output, *(block.output for block in encoder.blocks)]
    most = len(found) - 1
    if not layers or any(not -most - 1 <= layer <= most for layer in layers):
        raise UsageError(
            f"layers must be from 0 (the embeddings) to {most}, or from -1 (the last) down to -{most + 1}. "
            f"Received: {', '.join(map(str, layers)) or 'none'}"
        )
    chosen = [found[layer] for layer in layers]
    return keras.Model(encoder.inputs, chosen[0] if len(chosen) == 1 else keras.ops.concatenate(chosen, -1))


def _vectors(
    model: Any, encode: GraphEncoder, texts: Sequence[str], pooling: str, batch_size: int
) -> np.ndarray | list[np.ndarray]:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def vectors(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        encoded = encode(batch)
        hidden, mask = model(encoded, training=False), encoded["input_mask"]
        return (hidden if pooling == "none" else pooled(hidden, mask, pooling)), tf.reduce_sum(mask, -1)

    # Texts of like length together: a batch is padded to its longest.
    order = np.argsort([len(text) for text in texts], kind="stable")
    rows: list[np.ndarray] = [np.empty(0)] * len(texts)
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        values, lengths = (part.numpy() for part in vectors(strings([texts[place] for place in places])))
        for place, value, length in zip(places, values, lengths, strict=True):
            rows[place] = value[:length].copy() if pooling == "none" else value
    if pooling == "none":
        return rows
    return np.stack(rows) if rows else np.zeros((0, model.output_shape[-1]), np.float32)


def check_features_file(output: PathLike, pooling: str) -> None:
    """Checks that vectors can be written to a file of that name.

    Raises:
        UsageError: Its ending says no format, or one without texts of different lengths.
    """
    ending = Path(output).suffix
    if ending not in (".npy", ".safetensors"):
        raise UsageError(f"features are written as .npy or .safetensors. Received: {output}")
    if ending == ".npy" and pooling == "none":
        raise UsageError(
            f"texts have different numbers of tokens, which .npy cannot hold: name a .safetensors file, or a pooling. "
            f"Received: {output}"
        )


def save_features(output: PathLike, vectors: np.ndarray | Sequence[np.ndarray]) -> None:
    """Writes what `extract_features` gave, atomically.

    A .npy file holds float32 [texts, W]. A .safetensors file holds "vectors", the same, or of all tokens joined
    float32 [tokens, W] with "lengths", int64 [texts].

    Raises:
        UsageError: See `check_features_file`.
    """
    check_features_file(output, "mean" if isinstance(vectors, np.ndarray) else "none")
    if isinstance(vectors, np.ndarray):
        tensors = {"vectors": vectors}
    else:
        lengths = np.array([len(part) for part in vectors], np.int64)
        tensors = {"vectors": np.concatenate(vectors or [np.zeros((0, 0), np.float32)]), "lengths": lengths}
    if Path(output).suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, tensors["vectors"], allow_pickle=False)
        content = buffer.getvalue()
    else:
        content = safetensors.numpy.save(tensors)
    with files.atomic_file(output) as handle:
        handle.write(content)
