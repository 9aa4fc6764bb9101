"""The BERT encoder (arXiv 1810.04805)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert import features
from kbert.config import BertConfig
from kbert.layers.attention import AttentionBias
from kbert.layers.embeddings import Embeddings
from kbert.layers.encoder_block import EncoderBlock
from kbert.layers.heads import Pooler
from kbert.layers.layer import as_config, dtype_policy
from kbert.layers.padding import PaddedRows, TokenRow
from kbert.models.preset_model import PresetModel, model_folders


@keras.saving.register_keras_serializable("kbert")
class BertEncoder(PresetModel, keras.Model):
    """Token ids to contextual vectors.

    Takes a dict of `input_word_ids`, `input_mask` and `input_type_ids`, int32 [B, S] each. Gives a dict of
    `sequence_output`, float32 [B, S, H], and `pooled_output`, float32 [B, H].

    A packed encoder reads rows of several examples, none of which sees another: it takes
    `features.PACKED_ENCODER_FEATURES` and gives a `pooled_output` for each of them, float32 [B, E, H]. Its variables
    are the same.

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        pooled: Whether it has the pooler, and so the second output.
        packed: Whether it reads packed rows.
        precision: The precision of matrix products: "float32", "bfloat16" or "float16"; a shorthand for `dtype`.
            Variables and outputs are float32.
        seed: Of fresh weights and dropout.
        remat: Compute each block again in the backward pass instead of keeping it: less memory for more work.
        skip_padding: Work on tokens alone, and give zeros for padding. Of rows of different lengths it makes less
            work; it cannot be compiled with XLA, and a packed encoder, which has no padding to speak of, lacks it.
        dtype: "float32", "mixed_bfloat16" or "mixed_float16"; None is Keras's global policy.

    Raises:
        UsageError: The dtype policy is none of these three.

    Example:
        >>> encoder = BertEncoder(preset_config("tiny"))
        >>> ids = np.array([[101, 7592, 102]])
        >>> encoder({"input_word_ids": ids, "input_mask": ids > 0, "input_type_ids": ids * 0})["pooled_output"].shape
        TensorShape([1, 128])
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        *,
        pooled: bool = True,
        packed: bool = False,
        precision: str | None = None,
        seed: int = 0,
        remat: bool = False,
        skip_padding: bool = False,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        # === Layers ===
        config, policy = as_config(config), dtype_policy(dtype, precision)
        generator = keras.random.SeedGenerator(seed, name="seed_generator")
        embeddings = Embeddings(config, generator, dtype=policy, name="embeddings")
        blocks = [
            EncoderBlock(config, generator, remat=remat, dtype=policy, name=f"block_{index}")
            for index in range(config.num_hidden_layers)
        ]
        pooler = Pooler(config, generator, dtype=policy, name="pooler") if pooled else None

        # === Functional model ===
        input_features = features.PACKED_ENCODER_FEATURES if packed else features.ENCODER_FEATURES
        inputs = features.keras_inputs(input_features)
        ids, types = inputs[features.INPUT_WORD_IDS.name], inputs[features.INPUT_TYPE_IDS.name]
        positions = inputs.get(features.INPUT_POSITIONS.name)
        mask = inputs[features.INPUT_EXAMPLE_IDS.name if packed else features.INPUT_MASK.name]
        bias = AttentionBias(packed, dtype=policy, name="attention_bias")(mask)
        places = tokens = None
        if skip_padding and not packed:
            places, tokens, positions, ids, types = TokenRow(dtype=policy, name="token_row")(mask, ids, types)
        hidden = embeddings(ids, types, positions)
        for block in blocks:
            hidden = block(hidden, bias, places, tokens)
        if places is not None:
            hidden = PaddedRows(dtype=policy, name="padded_rows")(hidden, places, tokens)
        outputs = {"sequence_output": hidden}
        if pooler is not None:
            outputs["pooled_output"] = pooler(hidden, inputs.get(features.NEXT_SENTENCE_POSITIONS.name))
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self._dtype_policy = policy  # a functional model does not accept it as an argument

        # === Attributes ===
        self.config = config
        self.precision = str(policy.compute_dtype)
        self.packed = packed
        self.remat = remat
        self.skip_padding = places is not None
        self.input_features = input_features
        self.seed_generator = generator
        self.embeddings = embeddings
        self.blocks = blocks
        self.pooler = pooler

    @classmethod
    def from_keras_hub(cls, backbone: Any, **options: Any) -> Any:
        """Makes an encoder with the weights of a `keras_hub.models.BertBackbone`, which gives the same outputs.

        Args:
            backbone: The backbone; keras-nlp's is the same class.
            options: The options of the constructor except `config`.

        Example:
            >>> backbone = keras_hub.models.BertBackbone(
            ...     vocabulary_size=30, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32
            ... )
            >>> kbert.BertEncoder.from_keras_hub(backbone).config.hidden_act
            'gelu_new'

        Raises:
            UsageError: `backbone` is not a `BertBackbone`.
        """
        return model_folders().from_keras_hub(cls, backbone, options)

    def to_keras_hub(self) -> Any:
        """Makes a `keras_hub.models.BertBackbone` with this encoder's weights, which gives the same outputs.

        Example:
            >>> config = kbert.preset_config("tiny").replace(hidden_act="gelu_new")
            >>> type(kbert.BertEncoder(config).to_keras_hub()).__name__
            'BertBackbone'

        Raises:
            UsageError: The encoder has no pooler, which a backbone must have; or keras-hub is not installed.
            ConfigError: KerasHub's BERT cannot compute such a model: it has the tanh form of GELU alone.
        """
        return model_folders().to_keras_hub(self)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as plain data, and the names of the layers that are frozen."""
        parts = [self.embeddings, *self.blocks, *([] if self.pooler is None else [self.pooler])]
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "config": self.config.to_dict(),
            "pooled": self.pooler is not None,
            "packed": self.packed,
            "seed": self.seed_generator.get_config()["seed"],
            "remat": self.remat,
            "skip_padding": self.skip_padding,
            "frozen": [part.name for part in parts if not part.trainable] if self.trainable else [],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes a new encoder from the result of `get_config`, with fresh weights of the same seed."""
        config = dict(config)
        frozen = config.pop("frozen", ())
        encoder = cls(**config)
        for name in frozen:
            encoder.get_layer(name).trainable = False
        return encoder
