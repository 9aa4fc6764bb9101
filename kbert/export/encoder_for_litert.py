"""The encoder as a LiteRT model in a version folder, with which `kbert serve` answers faster on CPUs.

The SavedModel gets two more signatures: from texts to the inputs of the encoder, and from its vectors to the answers.
`kbert.serving.served_models.litert_model` runs the three parts one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.export.parity import check_litert_parity, check_parity
from kbert.export.session import session_answers
from kbert.features import ENCODER_FEATURES
from kbert.inference.litert_encoder import encoder_content
from kbert.inference.litert_rows import LiteRtRows
from kbert.prediction.around_encoder import AroundEncoder
from kbert.prediction.text_model import TextModel, signature_function
from kbert.serving.signature_names import ANSWER_SIGNATURE as ANSWER
from kbert.serving.signature_names import ENCODE_SIGNATURE as ENCODE
from kbert.serving.signature_names import ENCODER_INPUTS as INPUTS
from kbert.serving.signature_names import ENCODER_VECTORS as VECTORS

FILE_NAME = "encoder.tflite"
_TOLERANCE = 1e-4


def encoder_signatures(text_model: TextModel) -> dict[str, Any]:
    """Returns the signatures before and after the encoder, as tf.functions by name.

    - `kbert_encode`: from the text inputs to the inputs of the encoder, int32 [R, S], and to the features that
      `kbert_answer` needs;
    - `kbert_answer`: from the vectors of all tokens, float32 [R, S, H], and these features to the answers of
      `serving_default`.

    Args:
        text_model: The model.
    """
    around = AroundEncoder(text_model)

    def encode(texts: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        features, inputs = around.encode(texts)
        named = {name: inputs[feature.name] for name, feature in zip(INPUTS, ENCODER_FEATURES, strict=True)}
        return {**features, **named}

    encoding = signature_function(encode, text_model.text_specs)
    features = {
        name: value for name, value in encoding.get_concrete_function().structured_outputs.items() if name not in INPUTS
    }
    vectors = around.vector_spec()
    specs = [
        tf.TensorSpec(vectors.shape, vectors.dtype, name=VECTORS),
        *(tf.TensorSpec(value.shape, value.dtype, name=name) for name, value in features.items()),
    ]

    def answer(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return around.answer(inputs.pop(VECTORS), inputs)

    return {ENCODE: encoding, ANSWER: signature_function(answer, specs)}


def write_encoder(
    path: Path, text_model: TextModel, quantize: str, version: Path, inputs: Mapping[str, tf.Tensor]
) -> None:
    """Writes the encoder, after a check that it gives the vectors of the model, and the three parts the answers.

    Args:
        path: The file to write.
        text_model: The model.
        quantize: "none" for weights in float32, or "dynamic" for weights in int8.
        version: The folder of the SavedModel that has the signatures of `encoder_signatures`.
        inputs: Texts for the check, by the names of the task's inputs.

    Raises:
        ExportError: LiteRT cannot run the encoder.
        ParityError: The vectors or the answers differ.
    """
    content = encoder_content(text_model.model.encoder, quantize)
    encoder = LiteRtRows(content)
    texts = {name: value.numpy() for name, value in inputs.items()}
    encoded = session_answers(version, {ENCODE: texts})[ENCODE]
    ids, mask, types = (encoded.pop(name) for name in INPUTS)
    vectors = encoder(ids, mask, types)
    encoder.close()
    batch = {feature.name: value for feature, value in zip(ENCODER_FEATURES, (ids, mask, types), strict=True)}
    keras_encoder = text_model.model.encoder
    outputs = keras_encoder(batch)
    expected, received = (
        (outputs["pooled_output"], keras_encoder.pooler(vectors))
        if keras_encoder.pooled_only
        else (outputs["sequence_output"], vectors)
    )
    check_litert_parity(
        {VECTORS: np.asarray(expected)},
        {VECTORS: np.asarray(received)},
        mask,
        quantize=quantize,
        what=f"{FILE_NAME} ({quantize})",
    )
    if quantize == "none":
        answers = session_answers(version, {ANSWER: {**encoded, VECTORS: vectors}})[ANSWER]
        wanted = {name: value.numpy() for name, value in text_model.from_text(*inputs.values()).items()}
        check_parity(wanted, answers, tolerance=_TOLERANCE, what=f"the SavedModel with {FILE_NAME}")
    path.write_bytes(content)
