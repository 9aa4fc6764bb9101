"""The corpora of a pretraining run, and the model that it starts from."""

from __future__ import annotations

import os
from collections.abc import Sequence

from kbert import files
from kbert.config import BertConfig, preset_config
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.errors import BundleError, UsageError
from kbert.training.adapter import check_adapter_start
from kbert.training.corpus_tokenizer import check_corpus, same_tokenizer
from kbert.training.options import PretrainOptions
from kbert.training.starting_point import StartingPoint, load_start


def read_corpora(options: PretrainOptions) -> list[PretrainingBatches]:
    """Opens the corpus of each phase, and checks that the corpora fit the phases and each other.

    Raises:
        UsageError: A corpus is missing, has another sequence length than its phase, or another vocabulary.
    """
    folders, phases = corpus_folders(options), options.phases
    if len(folders) != max(1, len(phases)):
        raise UsageError(f"each phase needs a --corpus. Received: {len(phases) or 1} phases, {len(folders)} corpora")
    corpora = [
        PretrainingBatches(
            folder,
            batch_size=options.batch_size,
            seed=options.seed,
            pack_to=options.pack_to,
            vocab=options.vocab,
            cased=options.cased,
            skip_corrupt=options.skip_corrupt,
        )
        for folder in folders
    ]
    for source, folder, (length, count) in zip(corpora, folders, phases, strict=False):
        if source.manifest.sequence_length != length or count < 1:
            raise UsageError(
                "a phase must be the sequence length of its corpus and a number of steps, such as "
                f"{source.manifest.sequence_length}:1000 for {folder}. Received: {length}:{count}"
            )
        if not same_tokenizer(source, corpora[0]):
            raise UsageError(
                "all corpora must have the same vocabulary and the same text normalization. Received: different ones "
                f"in {folder} and {folders[0]}"
            )
    return corpora


def corpus_folders(options: PretrainOptions) -> list[files.PathLike]:
    """Returns the corpora as a list, as they were given in the options."""
    return [options.corpus] if isinstance(options.corpus, (str, os.PathLike)) else list(options.corpus)


def pretraining_start(options: PretrainOptions, corpora: Sequence[PretrainingBatches]) -> StartingPoint:
    """Loads the model to start from, and checks that it has the vocabulary and the text settings of the corpora.

    Raises:
        BundleError: The model has another vocabulary than the corpora.
        UsageError: The model is invalid for the options.
    """
    vocabulary, model = corpora[0].vocabulary, options.model
    bundle = load_start(model)
    if options.adapter is not None:
        check_adapter_start(model, bundle)
    if bundle is None:
        config: BertConfig = preset_config(str(model), len(vocabulary))
        return StartingPoint(model, config, corpora[0].tokenizer, None).with_settings(options)
    if not bundle.tokenizer.vocabulary.has_pieces(vocabulary):
        raise BundleError(
            f"the corpus must have the vocabulary of {model}. Received: another vocabulary; build it with "
            f"`kbert corpus build --vocab {model}`"
        )
    for source, folder in zip(corpora, corpus_folders(options), strict=True):
        check_corpus(source, bundle.tokenizer, corpus=folder, model=str(model))
    if options.initialization != "random":
        raise UsageError(f"{model} has weights of its own; leave --initialization out, which is for presets")
    return StartingPoint(model, bundle.config, bundle.tokenizer, bundle).with_settings(options)
