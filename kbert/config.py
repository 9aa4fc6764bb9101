"""The configuration of a BERT model, and the named presets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from kbert import config_keys
from kbert.errors import ConfigError, shown

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu")
MODEL_TYPE, BOTTLENECK_MODEL_TYPE = "bert", "kbert_bottleneck"
"""The `model_type` of a BERT, and that of a BERT with bottleneck adapters, which Transformers does not open."""


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The configuration of a BERT model, with the key names of Hugging Face's config.json.

    The defaults are those of `bert_config.json` in the original release, for the base size.
    """

    vocab_size: int = 30_522
    """The number of entries of the vocabulary, V."""
    hidden_size: int = 768
    """The width of the encoder, H."""
    num_hidden_layers: int = 12
    """The number of encoder blocks, L."""
    num_attention_heads: int = 12
    """The number of attention heads, N. H must be a multiple of N."""
    intermediate_size: int = 3_072
    """The width of the feed-forward layer in a block."""
    hidden_act: str = "gelu"
    """The activation of the feed-forward layer. "gelu" is the erf form of GELU; the other GELUs are the tanh form."""
    hidden_dropout_prob: float = 0.1
    """The dropout rate after the embeddings and after each projection, in training."""
    attention_probs_dropout_prob: float = 0.1
    """The dropout rate of attention probabilities, in training."""
    classifier_dropout: float | None = None
    """The dropout rate before the projection of a classifier, in training. None means `hidden_dropout_prob`."""
    max_position_embeddings: int = 512
    """The number of learned positions, which is the maximum length of a sequence."""
    type_vocab_size: int = 2
    """The number of segment types: type 0 is the first text, type 1 the second."""
    initializer_range: float = 0.02
    """The standard deviation of the truncated normal distribution of fresh weights."""
    layer_norm_eps: float = 1e-12
    """The epsilon of LayerNorm."""
    pad_token_id: int = 0
    """The token id that pads sequences."""
    bottleneck_size: int | None = None
    """The width of the bottleneck adapter in each block; None for a BERT without them. Not a key of Transformers."""
    bottleneck_act: str = "relu"
    """The activation of the bottleneck adapters."""

    def __post_init__(self) -> None:
        self._check_types()
        self._check_values()

    def _check_types(self) -> None:
        """Checks the types of all numbers, and converts whole numbers to floats where a float is expected."""
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if field.type == "int" and not _is_whole_number(value):
                raise ConfigError(f"{name} must be a whole number. Received: {name}={shown(value)}")
            if field.type == "int" and name != "pad_token_id" and value < 1:
                raise ConfigError(f"{name} must be at least 1. Received: {name}={shown(value)}")
            if field.type == "float" or (field.type == "float | None" and value is not None):
                if not _is_finite_number(value):
                    raise ConfigError(f"{name} must be a number. Received: {name}={shown(value)}")
                object.__setattr__(self, name, float(value))
        size = self.bottleneck_size
        if size is not None and (not _is_whole_number(size) or size < 1):
            raise ConfigError(f"bottleneck_size must be at least 1. Received: bottleneck_size={shown(size)}")

    def _check_values(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                "hidden_size must be a multiple of num_attention_heads. "
                f"Received: hidden_size={self.hidden_size}, num_attention_heads={self.num_attention_heads}"
            )
        for name in ("hidden_act", "bottleneck_act"):
            if getattr(self, name) not in ACTIVATIONS:
                raise ConfigError(
                    f"{name} must be one of {', '.join(ACTIVATIONS)}. Received: {name}={shown(getattr(self, name))}"
                )
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            if not 0 <= (getattr(self, name) or 0) < 1:
                raise ConfigError(f"{name} must be in [0, 1). Received: {name}={getattr(self, name)}")
        for name in ("initializer_range", "layer_norm_eps"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0. Received: {name}={getattr(self, name)}")
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise ConfigError(
                f"pad_token_id must be an id below vocab_size={self.vocab_size}. "
                f"Received: pad_token_id={self.pad_token_id}"
            )

    @property
    def head_size(self) -> int:
        """The width of an attention head, D = H / N."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BertConfig:
        """Returns the configuration for the contents of a config.json.

        Keys that do not change the computation are accepted, whichever program wrote them; `unknown_keys` lists them.

        Raises:
            ConfigError: The model is not a BERT, a key is misspelled, or a value is invalid.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"expected a JSON object of settings. Received: {type(values).__name__}")
        kind = values.get("model_type")
        expected = MODEL_TYPE if values.get("bottleneck_size") is None else BOTTLENECK_MODEL_TYPE
        if kind is not None and kind != expected:
            raise ConfigError(f'model_type must be "{expected}". Received: model_type={shown(kind)}')
        fields = {field.name for field in dataclasses.fields(cls)}
        given = {key: value for key, value in values.items() if key in fields}
        if values.get("pad_token_id") is None:  # null, in files of Transformers: no row of the table is for padding
            given.pop("pad_token_id", None)
        if given.get("hidden_size", cls.hidden_size) != cls.hidden_size and "num_attention_heads" not in given:
            config_keys.check_keys(values, {**given, "num_attention_heads": None, "head_size": None}, fields)
            raise ConfigError(
                "num_attention_heads must be given beside hidden_size, since it does not follow from the weights. "
                f"Received: hidden_size={shown(given['hidden_size'])} alone"
            )
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
        config_keys.check_keys(values, {**defaults, **given, "head_size": _head_size({**defaults, **given})}, fields)
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as a JSON object, which `from_dict` reads."""
        values = dataclasses.asdict(self)
        if self.bottleneck_size is not None:
            return {"model_type": BOTTLENECK_MODEL_TYPE, **values}
        del values["bottleneck_size"], values["bottleneck_act"]
        return {"model_type": MODEL_TYPE, **values}

    def replace(self, **changes: Any) -> BertConfig:
        """Returns a copy with some settings changed."""
        return dataclasses.replace(self, **changes)


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that is too large for float64
        return False


def _head_size(values: Mapping[str, Any]) -> Any:
    """Returns the width of an attention head; None if the values are invalid, which other checks report."""
    width, heads = values["hidden_size"], values["num_attention_heads"]
    return width // heads if isinstance(width, int) and isinstance(heads, int) and heads > 0 else None


def foreign_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries of a config.json that are not fields of BertConfig, such as labels and unknown keys."""
    return config_keys.foreign_settings(values, _FIELDS)


def unknown_keys(values: Mapping[str, Any]) -> list[str]:
    """Returns the keys of a config.json that BERT does not have. They are kept, and do not change the computation."""
    return config_keys.unknown_keys(values, _FIELDS)


_FIELDS = frozenset(field.name for field in dataclasses.fields(BertConfig))


@dataclasses.dataclass(frozen=True)
class Preset:
    """The size of a published model, and its vocabulary.

    Args:
        layers: The number of encoder blocks, L.
        width: The width of the encoder, H. The model has H / 64 heads, and feed-forward layers of the width 4 H.
        vocab_size: The number of entries of the published vocabulary.
        lowercase: Whether that vocabulary is for lower-cased text.
    """

    layers: int
    width: int
    vocab_size: int = 30_522
    lowercase: bool = True


# The grid of small models is from arXiv 1908.08962. Base and large are from arXiv 1810.04805, and their vocabularies
# from its code release.
PRESETS: Mapping[str, Preset] = {
    "tiny": Preset(2, 128),
    "mini": Preset(4, 256),
    "small": Preset(4, 512),
    "medium": Preset(8, 512),
    "base": Preset(12, 768),
    "large": Preset(24, 1024),
    "base-cased": Preset(12, 768, 28_996, lowercase=False),
    "large-cased": Preset(24, 1024, 28_996, lowercase=False),
    "base-chinese": Preset(12, 768, 21_128),
    "base-multilingual-cased": Preset(12, 768, 119_547, lowercase=False),
    "base-multilingual-uncased": Preset(12, 768, 105_879),
    **{f"L-{layers}_H-{width}": Preset(layers, width) for layers in range(2, 13, 2) for width in (128, 256, 512, 768)},
}


def preset_config(name: str, vocab_size: int | None = None) -> BertConfig:
    """Returns the configuration of a preset.

    Args:
        name: The name of the preset: tiny, mini, small, medium, base, large, base-cased, large-cased, base-chinese,
            base-multilingual-cased, base-multilingual-uncased; or a size such as L-6_H-256, with 2, 4, 6, 8, 10 or 12
            layers and the width 128, 256, 512 or 768.
        vocab_size: The size of the vocabulary; the default is that of the published vocabulary.

    Raises:
        ConfigError: No preset has this name.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    preset = PRESETS[name]
    return BertConfig(
        vocab_size=preset.vocab_size if vocab_size is None else vocab_size,
        hidden_size=preset.width,
        num_hidden_layers=preset.layers,
        num_attention_heads=preset.width // 64,
        intermediate_size=4 * preset.width,
    )
