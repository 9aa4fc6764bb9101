"""The BERT encoder (arXiv 1810.04805)."""

from __future__ import annotations

from typing import Any

import keras

from kbert import features
from kbert.config import BertConfig
from kbert.layers.attention import attention_bias, packed_attention_bias
from kbert.layers.embeddings import Embeddings
from kbert.layers.encoder_block import EncoderBlock
from kbert.layers.heads import Pooler
from kbert.layers.padding import PaddedRows, TokenRow


class BertEncoder(keras.Model):
    """Token ids to contextual vectors.

    Takes a dict of `input_word_ids`, `input_mask` and `input_type_ids`, int32 [B, S] each. Gives a dict of
    `sequence_output`, float32 [B, S, H], and `pooled_output`, float32 [B, H].

    A packed encoder reads rows of several examples, none of which sees another: it takes
    `features.PACKED_ENCODER_FEATURES` and gives a `pooled_output` for each of them, float32 [B, E, H]. Its variables
    are the same.

    Args:
        config: The shape of the model.
        pooled: Whether it has the pooler, and so the second output.
        packed: Whether it reads packed rows.
        precision: "float32", "bfloat16" or "float16", of matrix products; variables and outputs are float32.
        seed: Of fresh weights and dropout.
        remat: Compute each block again in the backward pass instead of keeping it: less memory for more work.
        skip_padding: Work on tokens alone, and give zeros for padding. Of rows of different lengths it makes less
            work; it cannot be compiled with XLA, and a packed encoder, which has no padding to speak of, lacks it.

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
        pooled: bool = True,
        packed: bool = False,
        precision: str = "float32",
        seed: int = 0,
        remat: bool = False,
        skip_padding: bool = False,
        **kwargs: Any,
    ) -> None:
        # === Layers ===
        generator = keras.random.SeedGenerator(seed, name="seed_generator")
        embeddings = Embeddings(config, generator, name="embeddings")
        blocks = [
            EncoderBlock(config, generator, precision, remat, name=f"block_{index}")
            for index in range(config.num_hidden_layers)
        ]
        pooler = Pooler(config, generator, precision, name="pooler") if pooled else None

        # === Functional model ===
        input_features = features.PACKED_ENCODER_FEATURES if packed else features.ENCODER_FEATURES
        inputs = features.keras_inputs(input_features)
        ids, types = inputs[features.INPUT_WORD_IDS.name], inputs[features.INPUT_TYPE_IDS.name]
        positions = inputs.get(features.INPUT_POSITIONS.name)
        places = tokens = None
        if packed:
            bias = packed_attention_bias(inputs[features.INPUT_EXAMPLE_IDS.name])
        else:
            mask = inputs[features.INPUT_MASK.name]
            bias = attention_bias(mask)
            if skip_padding:
                places, tokens, positions, ids, types = TokenRow(name="token_row")(mask, ids, types)
        hidden = embeddings(ids, types, positions)
        for block in blocks:
            hidden = block(hidden, bias, places, tokens)
        if places is not None:
            hidden = PaddedRows(name="padded_rows")(hidden, places, tokens)
        outputs = {"sequence_output": hidden}
        if pooler is not None:
            outputs["pooled_output"] = pooler(hidden, inputs.get(features.NEXT_SENTENCE_POSITIONS.name))
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Attributes ===
        self.config = config
        self.precision = precision
        self.skip_padding = places is not None
        self.input_features = input_features
        self.seed_generator = generator
        self.embeddings = embeddings
        self.blocks = blocks
        self.pooler = pooler
