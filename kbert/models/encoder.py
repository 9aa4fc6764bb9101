"""The BERT encoder (arXiv 1810.04805)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kbert import features
from kbert.config import BertConfig
from kbert.errors import UsageError
from kbert.layers.attention import AttentionBias
from kbert.layers.embeddings import Embeddings
from kbert.layers.encoder_block import EncoderBlock
from kbert.layers.heads import Pooler
from kbert.layers.layer import as_config, dtype_policy
from kbert.layers.padding import PaddedRows, TokenRow
from kbert.models.preset_model import PresetModel, model_folders


@keras.saving.register_keras_serializable("kbert")
class BertEncoder(PresetModel, keras.Model):
    """The BERT encoder, from token ids to contextual vectors.

    The input is a dict of `input_word_ids`, `input_mask` and `input_type_ids`, int32 [B, S] each. The output is a dict
    of `sequence_output`, float32 [B, S, H], and `pooled_output`, float32 [B, H]. With `pooled_only`, it has the latter
    alone.

    A packed encoder reads rows that hold several examples, which do not attend to each other. Its input is a dict of
    `features.PACKED_ENCODER_FEATURES`, and its `pooled_output` has a vector for each example, float32 [B, E, H]. Its
    variables are the same.

    Args:
        config: The configuration of the model: a `BertConfig`, or its dict.
        pooled: Whether the encoder has a pooler, and therefore the output `pooled_output`.
        pooled_only: Whether `pooled_output` is the only output. The last block then computes only the first token of
            each row, [CLS], which saves up to three quarters of the computation of this block.
        packed: Whether the encoder reads packed rows.
        precision: The precision of matrix products: "float32", "bfloat16" or "float16". A shorthand for `dtype`.
            Variables and outputs are float32.
        seed: Seeds the fresh weights and the dropout masks.
        remat: Whether the backward pass computes each block again instead of storing its activations, which needs less
            memory and more computation.
        skip_padding: Whether the encoder computes only the tokens, and returns zeros for padding. This is faster for
            rows of different lengths. XLA does not support it, and a packed encoder, whose rows are nearly full,
            ignores it.
        dtype: "float32", "mixed_bfloat16" or "mixed_float16"; None means the global policy of Keras.

    Raises:
        UsageError: The dtype policy is not one of these three; or `pooled_only` is given for a packed encoder, or for
            one without a pooler.

    Example:
        >>> encoder = kbert.BertEncoder(kbert.preset_config("tiny"))
        >>> ids = np.array([[101, 7592, 102]])
        >>> encoder({"input_word_ids": ids, "input_mask": ids > 0, "input_type_ids": ids * 0})["pooled_output"].shape
        TensorShape([1, 128])
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        *,
        pooled: bool = True,
        pooled_only: bool = False,
        packed: bool = False,
        precision: str | None = None,
        seed: int = 0,
        remat: bool = False,
        skip_padding: bool = False,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        if pooled_only and (packed or not pooled):
            raise UsageError(
                "pooled_only needs an encoder with a pooler whose rows hold one example each. "
                f"Received: pooled={pooled}, packed={packed}"
            )

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
        for block in blocks[:-1]:
            hidden = block(hidden, bias, places, tokens)
        hidden = blocks[-1](hidden, bias, places, tokens, first_only=pooled_only)
        outputs = {}
        if not pooled_only:
            if places is not None:
                hidden = PaddedRows(dtype=policy, name="padded_rows")(hidden, places, tokens)
            outputs["sequence_output"] = hidden
        if pooler is not None:
            outputs["pooled_output"] = pooler(hidden, inputs.get(features.NEXT_SENTENCE_POSITIONS.name))
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self._dtype_policy = policy  # a functional model does not accept it as an argument

        # === Attributes ===
        self.config = config
        self.precision = str(policy.compute_dtype)
        self.packed = packed
        self.pooled_only = pooled_only
        self.remat = remat
        self.skip_padding = places is not None
        self.input_features = input_features
        self.seed_generator = generator
        self.embeddings = embeddings
        self.blocks = blocks
        self.pooler = pooler

    @classmethod
    def from_keras_hub(cls, backbone: Any, **options: Any) -> Any:
        """Returns an encoder with the weights and the outputs of a `keras_hub.models.BertBackbone`.

        Args:
            backbone: The backbone, from keras-hub or from keras-nlp, which has the same class.
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
        """Returns a `keras_hub.models.BertBackbone` with the weights and the outputs of this encoder.

        Example:
            >>> config = kbert.preset_config("tiny").replace(hidden_act="gelu_new")
            >>> type(kbert.BertEncoder(config).to_keras_hub()).__name__
            'BertBackbone'

        Raises:
            UsageError: The encoder has no pooler, which a backbone must have; or keras-hub is not installed.
            ConfigError: The activation is not the tanh form of GELU, the only one of KerasHub's BERT.
        """
        return model_folders().to_keras_hub(self)

    def from_embeddings(self, embedded: Any, input_mask: Any) -> dict[str, Any]:
        """Returns the outputs of the encoder for given vectors of the embedding layer, without dropout.

        Explanations compute the outputs for other vectors than those of tokens, and their gradients.

        Args:
            embedded: The vectors, float32 [B, S, H], such as those that `embeddings` returns.
            input_mask: 1 for a token and 0 for padding, int32 [B, S].
        """
        bias = self.get_layer("attention_bias")(input_mask)
        for block in self.blocks[:-1]:
            embedded = block(embedded, bias, training=False)
        embedded = self.blocks[-1](embedded, bias, training=False, first_only=self.pooled_only)
        outputs = {} if self.pooled_only else {"sequence_output": embedded}
        if self.pooler is not None:
            outputs["pooled_output"] = self.pooler(embedded)
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, and the names of the frozen layers, as plain data."""
        parts = [self.embeddings, *self.blocks, *([] if self.pooler is None else [self.pooler])]
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "config": self.config.to_dict(),
            "pooled": self.pooler is not None,
            "pooled_only": self.pooled_only,
            "packed": self.packed,
            "seed": self.seed_generator.get_config()["seed"],
            "remat": self.remat,
            "skip_padding": self.skip_padding,
            "frozen": [part.name for part in parts if not part.trainable] if self.trainable else [],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Creates a new encoder from the result of `get_config`, with fresh weights drawn with the same seed."""
        config = dict(config)
        frozen = config.pop("frozen", ())
        encoder = cls(**config)
        for name in frozen:
            encoder.get_layer(name).trainable = False
        return encoder
