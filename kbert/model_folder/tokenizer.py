"""Loads the tokenizer of a model folder, or the tokenizer that the option `--vocab` names."""

from __future__ import annotations

import logging
from pathlib import Path

from kbert import files
from kbert.errors import KbertError, UsageError
from kbert.model_folder.adapters.base import base_folder
from kbert.model_folder.adapters.bundle_settings import adapted_tokenizer
from kbert.model_folder.adapters.folder import is_adapter, read_adapter
from kbert.model_folder.hub import resolve
from kbert.model_folder.sentence_files import read_modules, transformer_path
from kbert.model_folder.sentence_transformers import SentenceModules
from kbert.text.settings import TokenizerSettings, describe_settings
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.names import CONFIG_FILE, TOKENIZER_FILE
from kbert.text.tokenizer_files.reading import has_settings, is_tokenizer_file, load_tokenizer, load_tokenizer_file
from kbert.text.unreachable_entries import describe_unreachable, unreachable_entries
from kbert.text.vocabulary import Vocabulary

_LOG = logging.getLogger("kbert")


def tokenizer_from(
    vocab: files.PathLike | Tokenizer,
    *,
    cased: bool = False,
    strip_accents: bool | None = None,
    untrained: bool = False,
) -> Tokenizer:
    """Returns the tokenizer that the argument `vocab` of a function, or the option `--vocab` of a command, names.

    A folder or a tokenizer.json contains all settings of its tokenizer: lower-casing, accents, Chinese characters, and
    added tokens; a folder also words that are never split. A vocab.txt contains none of them, so `cased` and
    `strip_accents` say how text is normalized. A warning of the logger "kbert" counts the vocabulary entries that
    normalized text never contains.

    Args:
        vocab: A vocab.txt; a tokenizer.json; a folder of a model, of a corpus or of `kbert vocab train`;
            `hf://owner/name`; or a tokenizer, which is returned unchanged.
        cased: Whether text keeps its case, for a vocab.txt.
        strip_accents: Whether accents are stripped; None strips them if text is lower-cased.
        untrained: Whether the ids of a vocab.txt have not been used to train a model yet. Repeated tokens are then an
            error.

    Raises:
        UsageError: `cased` or `strip_accents` is given for a folder, a tokenizer.json or a tokenizer, which have their
            own settings.
        KbertError: The file or the folder is missing or invalid.
    """
    if isinstance(vocab, Tokenizer):
        if cased or strip_accents is not None:
            raise UsageError("a tokenizer has its own settings; leave out cased and strip_accents")
        return vocab
    path = resolve(vocab)
    is_file = is_tokenizer_file(path)
    if (path.is_dir() or is_file) and (cased or strip_accents is not None):
        given = "--cased" if cased else "--strip-accents" if strip_accents else "--keep-accents"
        what, owner = (f"the file {vocab}", "a") if is_file else (f"the folder {vocab}", "the folder's")
        raise UsageError(
            f"{what} has its own settings for case and accents. Received: {given}; leave it out, or give {owner} "
            "vocab.txt as --vocab"
        )
    if is_file:
        tokenizer = load_tokenizer_file(path)
        _compare_with_folder(path, tokenizer)
        way_out = f'if they are wrong, correct "normalizer" in {path}'
    elif path.is_dir():
        tokenizer = load_model_tokenizer(path)
        way_out = settings_way_out(path)
    else:
        vocabulary = Vocabulary.from_file(path, untrained=untrained)
        settings = TokenizerSettings.of_case(cased=cased, strip_accents=strip_accents)
        tokenizer = Tokenizer.from_settings(vocabulary, settings)
        if has_settings(path.parent):
            _compare_with_folder(path, tokenizer)
        way_out = ""
    tell_unreachable(path, tokenizer, way_out)
    return tokenizer


def load_model_tokenizer(folder: files.PathLike, modules: SentenceModules | None = None) -> Tokenizer:
    """Reads the tokenizer of a model folder; the files of sentence-transformers may add lower-casing.

    Args:
        folder: The folder, of Transformers or of sentence-transformers in any of its layouts; or that of an adapter,
            which has the tokenizer of its base model, or that tokenizer with another normalization.
        modules: The contents of the files of sentence-transformers; None reads them if they exist.

    Raises:
        BundleError: A file is missing, damaged, or belongs to another kind of tokenizer.
        VocabularyError: The vocabulary is invalid.
    """
    if is_adapter(folder):
        adapter = read_adapter(folder)
        return adapted_tokenizer(adapter, load_model_tokenizer(base_folder(Path(folder), adapter.config), modules))
    if modules is None:
        modules = read_modules(folder)
    tokenizer = load_tokenizer(Path(folder) / transformer_path(folder))
    settings = tokenizer.settings
    if modules is None or not modules.lowercase or settings.lowercase:
        return tokenizer
    # sentence-transformers lower-cases texts before tokenization, which does not change accents.
    return tokenizer.replace(lowercase=True, strip_accents=bool(settings.strip_accents))


def tell_unreachable(where: files.PathLike, tokenizer: Tokenizer, way_out: str = "") -> None:
    """Logs the vocabulary entries that normalized text never contains, as a warning if there are many of them.

    Args:
        where: The file or folder, for the message.
        tokenizer: The tokenizer.
        way_out: The correction that the message suggests; by default it names the options for a vocab.txt.
    """
    found = unreachable_entries(tokenizer)
    many = max(1, len(tokenizer.vocabulary) // 1000)
    for reason, tokens in found.items():
        level = logging.WARNING if len(tokens) >= many else logging.INFO
        _LOG.log(level, describe_unreachable(reason, tokens, len(tokenizer.vocabulary), where, way_out))


def settings_way_out(folder: files.PathLike) -> str:
    """Returns the hint of `tell_unreachable` for a folder: how its settings can be corrected."""
    place = Path(folder) / transformer_path(folder)
    if (place / TOKENIZER_FILE).is_file():
        return f'if they are wrong, correct "normalizer" in {place / TOKENIZER_FILE}, and the same in {CONFIG_FILE}'
    return (
        'if they are wrong, write the settings of the vocabulary, such as {"do_lower_case": false}, into '
        f"{place / CONFIG_FILE}"
    )


def _compare_with_folder(path: Path, tokenizer: Tokenizer) -> None:
    """Logs a warning if the settings beside a vocab.txt or a tokenizer.json differ from those that are used."""
    folder = path.parent
    try:
        beside = load_tokenizer(folder).settings
    except KbertError:
        return  # the settings are damaged or of another kind of model, but only the vocab.txt was requested
    differences = beside.differences(tokenizer.settings)
    if differences:
        file = CONFIG_FILE if (folder / CONFIG_FILE).exists() else TOKENIZER_FILE
        _LOG.warning(
            f"{folder / file} says {describe_settings(beside, differences)}, and {path} is used with "
            f"{describe_settings(tokenizer.settings, differences)}; give --vocab {folder} to use the folder's settings"
        )
