"""What the user decides about a conversion, and what a conversion has to tell."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from kbert.config import BertConfig
from kbert.errors import UsageError
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

GELU_FORMS: Mapping[str, str] = {"erf": "gelu", "tanh": "gelu_new"}
"""Names of the two forms of GELU, with the activation that has each."""
TANH_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")


@dataclasses.dataclass
class Options:
    """The wishes of the user, where a format leaves something open, and the lines to tell afterwards.

    Args:
        gelu: "erf" or "tanh"; None for what the source says.
        lowercase: Whether text is lower-cased; None for what the source says.
        config: A bert_config.json that is not beside the checkpoint.
        vocab: A vocab.txt that is not beside the checkpoint.
        encoder_only: Leave heads, and whatever else there is, behind.
        notices: Whether lines about the source may be printed; the check of a conversion reads without.
        notes: Lines to tell the user, added while converting.
    """

    gelu: str | None = None
    lowercase: bool | None = None
    config: Path | None = None
    vocab: Path | None = None
    encoder_only: bool = False
    notices: bool = True
    notes: list[str] = dataclasses.field(default_factory=list)


def gelu_form(config: BertConfig) -> str | None:
    """The form of GELU of a model, "erf" or "tanh"; None for another activation."""
    if config.hidden_act in TANH_ACTIVATIONS:
        return "tanh"
    return "erf" if config.hidden_act == "gelu" else None


def with_gelu(config: BertConfig, form: str | None) -> BertConfig:
    """The configuration with one of the forms of GELU, or as it is.

    Raises:
        UsageError: The model has another activation.
    """
    if form is None or gelu_form(config) == form:
        return config
    if gelu_form(config) is None:
        raise UsageError(f"the model has the activation {config.hidden_act}; leave --gelu to models that have GELU")
    return config.replace(hidden_act=GELU_FORMS[form])


def find_lowercase(vocabulary: Vocabulary, options: Options) -> bool:
    """Whether a model lower-cases, where only its vocabulary can tell: one with capitals is of a cased model."""
    if options.lowercase is not None:
        return options.lowercase
    capital = next((token for token in vocabulary if token not in SPECIAL_TOKENS and _has_capitals(token)), None)
    reason = f"vocab.txt has capitals, such as {capital!r}" if capital else "vocab.txt has no capitals"
    kind, other = ("cased", "--uncased") if capital else ("uncased", "--cased")
    options.notes.append(f"taken as {kind}: {reason} ({other} overrides)")
    return capital is None


def _has_capitals(token: str) -> bool:
    # Markers such as <S> and [unused1] are no words.
    return not re.fullmatch(r"<.*>|\[.*\]", token) and token != token.lower()
