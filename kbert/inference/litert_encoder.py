"""A LiteRT model of the encoder, for texts in rows."""

from __future__ import annotations

import tensorflow as tf

from kbert.inference.litert_model import litert_model
from kbert.inference.litert_rows import FIRSTS, INPUTS, LiteRtRows
from kbert.inference.packed_encoder import PackedEncoder, WantedTokens, gather, text_bias
from kbert.models.encoder import BertEncoder


def litert_encoder(encoder: BertEncoder, *, quantize: str = "none", threads: int | None = None) -> LiteRtRows:
    """Returns an encoder that LiteRT runs.

    Args:
        encoder: The encoder. Its present weights are converted, which takes seconds.
        quantize: "none" for weights in float32, or "dynamic" for weights in int8.
        threads: See `LiteRtRows`.

    Raises:
        UsageError: `threads` is less than 1.
        ExportError: LiteRT cannot run the encoder.
    """
    return LiteRtRows(encoder_content(encoder, quantize), threads=threads)


def encoder_content(encoder: BertEncoder, quantize: str) -> bytes:
    """Returns the content of the .tflite file that `LiteRtRows` runs.

    Args:
        encoder: The encoder, whose present weights become constants.
        quantize: "none" for weights in float32, or "dynamic" for weights in int8.

    Raises:
        ExportError: LiteRT cannot run the encoder.
    """
    packed = PackedEncoder(encoder)

    def vectors(
        ids: tf.Tensor, types: tf.Tensor, positions: tf.Tensor, texts: tf.Tensor, firsts: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        wanted = None
        if firsts is not None:
            wanted = WantedTokens(lambda rows: gather(rows, firsts), text_bias(texts, gather(texts, firsts)))
        return {"vectors": packed(ids, types, positions, text_bias(texts), wanted)}

    names = (*INPUTS, FIRSTS) if encoder.pooled_only else INPUTS
    return litert_model(vectors, [tf.TensorSpec([None], tf.int32, name=name) for name in names], quantize)
