"""The BERT encoder (arXiv 1810.04805)."""

from __future__ import annotations

from typing import Any

import keras

from kbert import features
from kbert.config import BertConfig
from kbert.layers.attention import attention_bias
from kbert.layers.embeddings import Embeddings
from kbert.layers.encoder_block import EncoderBlock
from kbert.layers.heads import Pooler


class BertEncoder(keras.Model):
    """Token ids to contextual vectors.

    Takes a dict of `input_word_ids`, `input_mask` and `input_type_ids`, int32 [B, S] each. Gives a dict of
    `sequence_output`, float32 [B, S, H], and `pooled_output`, float32 [B, H].

    Args:
        config: The shape of the model.
        precision: "float32", "bfloat16" or "float16", of matrix products; variables and outputs are float32.
        seed: Of fresh weights and dropout.
        remat: Compute each block again in the backward pass instead of keeping it: less memory for more work.

    Example:
        >>> encoder = BertEncoder(preset_config("tiny"))
        >>> ids = np.array([[101, 7592, 102]])
        >>> encoder({"input_word_ids": ids, "input_mask": ids > 0, "input_type_ids": ids * 0})["pooled_output"].shape
        TensorShape([1, 128])
    """

    def __init__(
        self,
        config: BertConfig,
        *,
        precision: str = "float32",
        seed: int = 0,
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        # === Layers ===
        generator = keras.random.SeedGenerator(seed, name="seed_generator")
        embeddings = Embeddings(config, generator, name="embeddings")
        blocks = [
            EncoderBlock(config, generator, precision, remat, name=f"block_{index}")
            for index in range(config.num_hidden_layers)
        ]
        pooler = Pooler(config, generator, precision, name="pooler")

        # === Functional model ===
        inputs = features.keras_inputs(features.ENCODER_FEATURES)
        hidden = embeddings(inputs[features.INPUT_WORD_IDS.name], inputs[features.INPUT_TYPE_IDS.name])
        bias = attention_bias(inputs[features.INPUT_MASK.name])
        for block in blocks:
            hidden = block(hidden, bias)
        outputs = {"sequence_output": hidden, "pooled_output": pooler(hidden)}
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Attributes ===
        self.config = config
        self.precision = precision
        self.seed_generator = generator
        self.embeddings = embeddings
        self.blocks = blocks
        self.pooler = pooler
