"""What fine-tuning starts from: a model folder, or a preset with fresh weights."""

from __future__ import annotations

from typing import Any

from kbert import files
from kbert.bundle import Bundle, is_bundle
from kbert.config import PRESETS, BertConfig, preset_config
from kbert.errors import UsageError
from kbert.hub import resolve
from kbert.text.tokenizer import Tokenizer


def starting_point(
    model: str | files.PathLike, vocab: files.PathLike | None, cased: bool
) -> tuple[BertConfig, Tokenizer, dict[str, Any] | None]:
    """The shape, the tokenizer and the tensors of a model; no tensors of a preset.

    Args:
        model: A bundle, or a preset.
        vocab: The vocabulary of a preset.
        cased: With a preset: keep case and accents.

    Raises:
        UsageError: It is neither, or the options do not fit it.
        KbertError: It cannot be read.
    """
    if str(model) in PRESETS:
        if vocab is None:
            raise UsageError(f"the preset {model} has no vocabulary of its own; give one with --vocab")
        tokenizer = Tokenizer(vocab, lowercase=not cased)
        return preset_config(str(model), len(tokenizer.vocabulary)), tokenizer, None
    given, model = model, resolve(model)
    if not is_bundle(model):
        raise UsageError(f"--model must be a preset ({', '.join(PRESETS)}) or a model folder. Received: {given}")
    if vocab is not None or cased:
        raise UsageError(f"{model} brings its own vocabulary; leave --vocab and --cased to presets")
    loaded = Bundle.load(model)
    return loaded.config, loaded.tokenizer, loaded.tensors
