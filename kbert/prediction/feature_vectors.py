"""Extracts the vectors of an encoder's layers from any model folder, as features for other programs."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
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
from kbert.models.embedding import pooled
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors, encoder_bindings
from kbert.options import option_error, with_options
from kbert.prediction.options import ExtractFeaturesOptions
from kbert.tasks.protocol.training_rows import strings
from kbert.text.graph.encoder import GraphEncoder

LAST_FOUR = (-4, -3, -2, -1)
"""The layers whose concatenation gave the best features in the BERT paper (arXiv 1810.04805, section 5.3)."""


@with_options(ExtractFeaturesOptions)
def extract_features(
    model: PathLike, texts: Sequence[str], *, options: ExtractFeaturesOptions
) -> np.ndarray | list[np.ndarray]:
    """Returns the vectors that layers of an encoder compute for texts.

    Args:
        model: A pretrained or fine-tuned model: a folder, or a model of the Hugging Face Hub as "hf://owner/name".
        texts: The texts.
        options: All of these options in one object.

    Returns:
        An array of float32 [texts, layers x H]; with "none" a list with an array [tokens, layers x H] for each text.

    Raises:
        UsageError: A layer, the pooling, the length or the batch size is invalid.
        BundleError: The model is damaged or unreadable.
    """
    layers, pooling = _chosen_layers(options.layers), options.pooling
    bundle = Bundle.load(resolve(model))
    positions = bundle.config.max_position_embeddings
    length = options.sequence_length or bundle.settings.get("sequence_length", bundle.longest_input)
    if not isinstance(length, int) or not 5 <= length <= positions:
        raise UsageError(
            f"sequence_length must be from 5 to the model's {positions} positions. Received: sequence_length={length}"
        )
    encoder = BertEncoder(bundle.config, pooled=False)
    outputs = _layers(encoder, layers)
    assign_tensors(encoder_bindings(encoder), bundle.tensors)
    return _vectors(outputs, GraphEncoder(bundle.tokenizer.to_graph(), length), texts, pooling, options.batch_size)


def _chosen_layers(layers: str | Collection[int]) -> list[int]:
    """Returns the numbers of the layers.

    Raises:
        OptionError: The text names no layers.
    """
    if not isinstance(layers, str):
        return list(layers)
    if layers == "last4":
        return list(LAST_FOUR)
    try:
        return [int(layer) for layer in layers.split(",")]
    except ValueError:
        raise option_error(
            lambda spell: (
                f"{spell('layers')} must be numbers with commas between them, or last4. "
                f"Received: {spell('layers', layers)}"
            )
        ) from None


def _layers(encoder: BertEncoder, layers: Sequence[int]) -> Any:
    """Returns a model from features to the concatenated outputs of layers, float32 [B, S, layers x H]."""
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
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def vectors(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        encoded = encode(batch)
        hidden, mask = model(encoded, training=False), encoded["input_mask"]
        return (hidden if pooling == "none" else pooled(hidden, mask, pooling)), tf.reduce_sum(mask, -1)

    # Texts of similar length form a batch, since a batch is padded to its longest text.
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
    """Checks that the format of a file can hold the vectors.

    Raises:
        UsageError: The file ending is unknown, or the format does not support arrays of different lengths.
    """
    ending = Path(output).suffix
    if ending not in (".npy", ".safetensors"):
        raise UsageError(f"features are written as .npy or .safetensors. Received: {output}")
    if ending == ".npy" and pooling == "none":
        raise UsageError(
            "texts have different numbers of tokens, which .npy does not support; name a .safetensors file or a "
            f"pooling. Received: {output}"
        )


def save_features(output: PathLike, vectors: np.ndarray | Sequence[np.ndarray]) -> None:
    """Writes the result of `extract_features` to a file, atomically.

    A .npy file holds float32 [texts, W]. A .safetensors file holds the same array as "vectors". For vectors of all
    tokens, "vectors" is their concatenation, float32 [tokens, W], and "lengths", int64 [texts], has the number of
    tokens of each text.

    Raises:
        UsageError: The file ending is unknown, or the format does not support arrays of different lengths.
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
