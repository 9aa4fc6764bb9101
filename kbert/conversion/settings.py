"""The settings of a conversion, and the decisions that they override."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from kbert.config import BertConfig
from kbert.errors import UsageError
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

GELU_FORMS: Mapping[str, str] = {"erf": "gelu", "tanh": "gelu_new"}
"""The two forms of GELU, with the activation in `BertConfig` that stands for each."""
TANH_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")


@dataclasses.dataclass
class ConversionSettings:
    """The settings of a conversion, and the notes that are collected for the user.

    Args:
        gelu: The form of GELU, "erf" or "tanh"; None takes the form that the source specifies.
        lowercase: Whether text is lower-cased; None takes the setting of the source.
        config: The path of bert_config.json if it is not beside the checkpoint.
        vocab: The path of vocab.txt if it is not beside the checkpoint, or of a tokenizer.json or a folder with a
            tokenizer and its settings.
        encoder_only: Whether to convert the encoder without heads and other tensors.
        notices: Whether messages about the source are logged; the check that reads the destination turns them off.
        notes: The messages for the user that are collected during the conversion, one line each.
    """

    gelu: str | None = None
    lowercase: bool | None = None
    config: Path | None = None
    vocab: Path | None = None
    encoder_only: bool = False
    notices: bool = True
    notes: list[str] = dataclasses.field(default_factory=list)


def gelu_form(config: BertConfig) -> str | None:
    """Returns the form of GELU of a model, "erf" or "tanh"; None for another activation."""
    if config.hidden_act in TANH_ACTIVATIONS:
        return "tanh"
    return "erf" if config.hidden_act == "gelu" else None


def with_gelu(config: BertConfig, form: str | None) -> BertConfig:
    """Returns the config with a form of GELU; None returns it unchanged.

    Raises:
        UsageError: The activation of the model is not GELU.
    """
    if form is None or gelu_form(config) == form:
        return config
    if gelu_form(config) is None:
        raise UsageError(
            f"--gelu requires a model with GELU. Received: a model with {config.hidden_act}; leave the option out"
        )
    return config.replace(hidden_act=GELU_FORMS[form])


def find_lowercase(vocabulary: Vocabulary, options: ConversionSettings) -> bool:
    """Guesses whether a model lower-cases text, if no file says so. A vocabulary with capitals is a cased one.

    The option `lowercase` overrides the decision. Otherwise a note is added that names the decision and its reason.
    """
    if options.lowercase is not None:
        return options.lowercase
    capital = next((token for token in vocabulary if token not in SPECIAL_TOKENS and _has_capitals(token)), None)
    reason = f"vocab.txt has capitals, such as {capital!r}" if capital else "vocab.txt has no capitals"
    kind, other = ("cased", "--uncased") if capital else ("uncased", "--cased")
    options.notes.append(f"taken as {kind}: {reason} ({other} overrides)")
    return capital is None


def _has_capitals(token: str) -> bool:
    # Markers such as <S> and [unused1] are not words.
    return not re.fullmatch(r"<.*>|\[.*\]", token) and token != token.lower()
