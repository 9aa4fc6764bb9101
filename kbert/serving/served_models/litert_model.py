"""A model of kbert whose encoder is run by LiteRT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert.inference.litert_rows import LiteRtRows
from kbert.serving.served_models.served_model import ServedModel
from kbert.serving.signature_names import (
    ANSWER_SIGNATURE,
    DEFAULT_SIGNATURE,
    ENCODE_SIGNATURE,
    ENCODER_INPUTS,
    ENCODER_VECTORS,
)

ENCODER_PATH = "assets.extra/encoder.tflite"


class LiteRtModel:
    """A model whose signature `serving_default` is computed in three steps, the second of them by LiteRT.

    `kbert export saved-model --litert-encoder` writes two more signatures into the SavedModel, from texts to the inputs
    of the encoder, and from the vectors of all tokens to the answers; and the encoder as a LiteRT model.

    Args:
        model: The SavedModel.
        folder: The folder of the version.

    Raises:
        OSError: The LiteRT model cannot be read.
        ValueError: The LiteRT model is invalid.
    """

    def __init__(self, model: ServedModel, folder: Path) -> None:
        self._model = model
        self._encoder = LiteRtRows((folder / ENCODER_PATH).read_bytes())
        self._encoder.prepare()
        self.signatures: Mapping[str, Any] = {
            name: signature
            for name, signature in model.signatures.items()
            if name not in (ENCODE_SIGNATURE, ANSWER_SIGNATURE)
        }

    def run(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """See `ServedModel.run`."""
        # The three steps answer rows, and a request without rows has none.
        has_rows = all(len(array) for array in inputs.values())
        if signature_name != DEFAULT_SIGNATURE or not has_rows:
            return self._model.run(signature_name, inputs, outputs)
        features = self._model.run(ENCODE_SIGNATURE, inputs)
        vectors = self._encoder(*(features.pop(name) for name in ENCODER_INPUTS))
        wanted = outputs or sorted(self.signatures[signature_name].outputs)
        return self._model.run(ANSWER_SIGNATURE, {**features, ENCODER_VECTORS: vectors}, wanted)

    def close(self) -> None:
        """See `ServedModel.close`."""
        self._encoder.close()
        self._model.close()


def has_encoder(folder: Path, signatures: Mapping[str, Any]) -> bool:
    """Returns whether a version can be run by LiteRT.

    Args:
        folder: The folder of the version.
        signatures: Its SignatureDefs, by name.
    """
    return (folder / ENCODER_PATH).is_file() and ENCODE_SIGNATURE in signatures and ANSWER_SIGNATURE in signatures
