"""The starting point of training: a model folder, or a preset with randomly initialized weights."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from kbert import files
from kbert.config import PRESETS, BertConfig, preset_config
from kbert.errors import UsageError
from kbert.model_folder.adapters.spec import AdapterSpec
from kbert.model_folder.bundle import Bundle, is_bundle
from kbert.model_folder.hub import resolve
from kbert.model_folder.tokenizer import tokenizer_from
from kbert.text.mediapipe_tokenizer import check_uncased, mediapipe_tokenizer
from kbert.text.tokenizer import Tokenizer
from kbert.training.options import TrainingOptions


@dataclasses.dataclass(frozen=True)
class StartingPoint:
    """The model or the preset that training starts from.

    Args:
        model: The model as the user gave it.
        config: The configuration of the encoder.
        tokenizer: The tokenizer.
        bundle: The content of the model folder; None for a preset.
    """

    model: str | files.PathLike
    config: BertConfig
    tokenizer: Tokenizer
    bundle: Bundle | None

    def digest(self) -> str:
        """Returns a digest of the weights, which does not depend on the folder; for a preset, its name."""
        if self.bundle is None:
            return str(self.model)
        found = hashlib.sha256()
        for name, tensor in sorted(self.bundle.tensors.items()):
            array = np.ascontiguousarray(tensor)
            found.update(f"{name} {array.dtype} {array.shape}\n".encode())
            found.update(array.reshape(-1).view(np.uint8).data)
        return found.hexdigest()

    def with_settings(self, options: TrainingOptions) -> StartingPoint:
        """Returns a copy with the dropout rate, the initializer range and the bottleneck adapters that options set."""
        config = self.config
        if options.dropout is not None:
            config = config.replace(hidden_dropout_prob=options.dropout, attention_probs_dropout_prob=options.dropout)
        if options.initializer_range is not None:
            config = config.replace(initializer_range=options.initializer_range)
        if options.adapter is not None:
            size = AdapterSpec.parse(options.adapter).bottleneck_size(config.hidden_size)
            if size is not None:
                config = config.replace(bottleneck_size=size)
        return dataclasses.replace(self, config=config)

    def with_mediapipe_tokenizer(self) -> StartingPoint:
        """Returns a copy whose tokenizer normalizes text as MediaPipe does on phones.

        Raises:
            UsageError: The tokenizer keeps case.
        """
        check_uncased(self.tokenizer, "start from an uncased model, or leave out --tokenizer")
        return dataclasses.replace(self, tokenizer=mediapipe_tokenizer(self.tokenizer))


def preset_names() -> str:
    """Returns the names of the presets for a message, with the grid of small models as one range."""
    names = [name for name in PRESETS if not name.startswith("L-")]
    return f"{', '.join(names)}, L-2_H-128 to L-12_H-768"


def load_start(model: str | files.PathLike) -> Bundle | None:
    """Loads the content of a model folder, or returns None for a preset.

    Args:
        model: A model folder, hf://owner/name, or the name of a preset.

    Raises:
        UsageError: `model` is neither a model folder nor a preset.
        KbertError: The folder is invalid.
    """
    if str(model) in PRESETS:
        return None
    folder = resolve(model)
    if not is_bundle(folder):
        raise UsageError(f"--model must be a preset ({preset_names()}) or a model folder. Received: {model}")
    return Bundle.load(folder)


def starting_point(model: str | files.PathLike, vocab: files.PathLike | None, cased: bool) -> StartingPoint:
    """Returns the starting point of fine-tuning.

    Args:
        model: A model folder, hf://owner/name, or the name of a preset.
        vocab: The vocabulary for a preset: a vocab.txt, a tokenizer.json, or a folder with a tokenizer and its
            settings, which is a model, a corpus or the output of `kbert vocab train`.
        cased: Whether the tokenizer keeps case and accents, if `vocab` is a vocab.txt.

    Raises:
        UsageError: `model` is neither a model folder nor a preset, or `vocab` and `cased` do not fit it.
        KbertError: The folder or the vocabulary is invalid.
    """
    bundle = load_start(model)
    if bundle is not None:
        if vocab is not None or cased:
            raise UsageError(
                f"{resolve(model)} has a vocabulary of its own; leave --vocab and --cased out, which are for presets"
            )
        return StartingPoint(model, bundle.config, bundle.tokenizer, bundle)
    if vocab is None:
        raise UsageError(f"the preset {model} has no vocabulary of its own; give a vocabulary with --vocab")
    tokenizer = tokenizer_from(vocab, cased=cased, untrained=True).replace(model_max_length=None)
    return StartingPoint(model, preset_config(str(model), len(tokenizer.vocabulary)), tokenizer, None)
