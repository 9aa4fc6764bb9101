"""What training starts from: a model folder, or a preset with fresh weights."""

from __future__ import annotations

import math

from kbert import files
from kbert.config import PRESETS, BertConfig, preset_config
from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle, is_bundle
from kbert.model_folder.hub import resolve
from kbert.model_folder.tokenizer import tokenizer_from
from kbert.text.tokenizer import Tokenizer


def preset_names() -> str:
    """The names of presets, for a message: the grid of small models as one."""
    names = [name for name in PRESETS if not name.startswith("L-")]
    return f"{', '.join(names)}, L-2_H-128 to L-12_H-768"


def with_settings(config: BertConfig, dropout: float | None, initializer_range: float | None) -> BertConfig:
    """A model's shape with what a run wants otherwise: `--dropout` everywhere, and `--initializer-range`.

    Raises:
        UsageError: One of them is invalid.
    """
    if dropout is not None:
        if not 0 <= dropout < 1:
            raise UsageError(f"dropout must be in [0, 1). Received: dropout={dropout}")
        config = config.replace(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    if initializer_range is not None:
        if not 0 < initializer_range < math.inf:
            raise UsageError(f"initializer_range must be above 0. Received: initializer_range={initializer_range}")
        config = config.replace(initializer_range=initializer_range)
    return config


def starting_point(
    model: str | files.PathLike, vocab: files.PathLike | None, cased: bool
) -> tuple[BertConfig, Tokenizer, Bundle | None]:
    """The shape and the tokenizer of a model, and its folder's content; None of a preset.

    Args:
        model: A bundle, or a preset.
        vocab: The vocabulary of a preset: a vocab.txt, or a folder of a model, a corpus or `kbert vocab train`, with
            all its settings.
        cased: Keep case and accents, if `vocab` is a vocab.txt.

    Raises:
        UsageError: It is neither, or the options do not fit it.
        KbertError: The folder or the vocabulary is invalid.
    """
    if str(model) in PRESETS:
        if vocab is None:
            raise UsageError(f"the preset {model} has no vocabulary of its own; give one with --vocab")
        tokenizer = tokenizer_from(vocab, cased=cased, untrained=True).replace(model_max_length=None)
        return preset_config(str(model), len(tokenizer.vocabulary)), tokenizer, None
    given, model = model, resolve(model)
    if not is_bundle(model):
        raise UsageError(f"--model must be a preset ({preset_names()}) or a model folder. Received: {given}")
    if vocab is not None or cased:
        raise UsageError(f"{model} brings its own vocabulary; leave --vocab and --cased to presets")
    loaded = Bundle.load(model)
    return loaded.config, loaded.tokenizer, loaded
