"""Builds the JSON with which Keras describes KerasHub's objects, without creating these objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbert.config import BertConfig
from kbert.text.settings import TokenizerSettings

CLASSIFIER, MASKED_LM = "BertTextClassifier", "BertMaskedLM"
PREPROCESSOR_FILE = "preprocessor.json"
SIZES: Mapping[str, str] = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
    "num_segments": "type_vocab_size",
}
"""The sizes of a model: the names in KerasHub's BertBackbone, and the fields of `BertConfig`."""

_MODULES = {CLASSIFIER: "bert_text_classifier", MASKED_LM: "bert_masked_lm"}


def backbone(config: BertConfig) -> dict[str, Any]:
    """Returns the JSON of a BertBackbone."""
    sizes = {theirs: getattr(config, ours) for theirs, ours in SIZES.items()}
    own = {**sizes, "dropout": config.hidden_dropout_prob}
    return _object("bert_backbone", "BertBackbone", _layer("bert_backbone") | own)


def tokenizer(settings: TokenizerSettings) -> dict[str, Any]:
    """Returns the JSON of a BertTokenizer whose vocabulary is in a file of its own."""
    own = {
        "config_file": "tokenizer.json",
        "vocabulary": None,
        "sequence_length": None,
        "lowercase": settings.lowercase,
        "strip_accents": settings.strips_accents,
        "split": True,
        "suffix_indicator": "##",
        "oov_token": "[UNK]",
        "special_tokens": None,
        "special_tokens_in_strings": False,
    }
    return _object("bert_tokenizer", "BertTokenizer", _layer("bert_tokenizer", "int32") | own)


def preprocessor(task: str, tokenizer: dict[str, Any], sequence_length: int) -> dict[str, Any]:
    """Returns the JSON of the preprocessor of a task.

    Args:
        task: `CLASSIFIER` or `MASKED_LM`.
        tokenizer: The result of the function `tokenizer`.
        sequence_length: The longest input in tokens.
    """
    own: dict[str, Any] = {
        "tokenizer": tokenizer,
        "config_file": PREPROCESSOR_FILE,
        "sequence_length": sequence_length,
        "truncate": "round_robin",
    }
    if task == MASKED_LM:
        own |= {
            "mask_selection_rate": 0.15,
            "mask_selection_length": 96,
            "mask_token_rate": 0.8,
            "random_token_rate": 0.1,
        }
    name = f"{_MODULES[task]}_preprocessor"
    return _object(name, f"{task}Preprocessor", _layer(name) | own)


def task(name: str, config: BertConfig, preprocessing: dict[str, Any], classes: int | None) -> dict[str, Any]:
    """Returns the JSON of a task.

    Args:
        name: `CLASSIFIER` or `MASKED_LM`.
        config: The shape of the backbone.
        preprocessing: The result of the function `preprocessor`.
        classes: The number of classes of a classifier; None for a masked language model.
    """
    own: dict[str, Any] = {"backbone": backbone(config), "preprocessor": preprocessing, "name": _MODULES[name]}
    if classes is not None:
        own |= {"num_classes": classes, "activation": "linear", "dropout": config.hidden_dropout_prob}
    return _object(_MODULES[name], name, own)


def _object(module: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": f"keras_hub.src.models.bert.{module}",
        "class_name": name,
        "config": config,
        "registered_name": f"keras_hub>{name}",
    }


def _layer(name: str, dtype: str = "float32") -> dict[str, Any]:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": dtype}, "registered_name": None}
    return {"name": name, "trainable": True, "dtype": policy}
