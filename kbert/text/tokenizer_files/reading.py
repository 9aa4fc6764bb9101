"""Reads the files of a tokenizer, as Hugging Face Transformers 4 and 5 write them.

    vocab.txt               the pieces, one per line
    tokenizer_config.json   the settings, for people and for Transformers' classes
    tokenizer.json          everything, for Hugging Face's tokenizers; no other file is necessary
    added_tokens.json       the ids of added tokens (Transformers 4; kbert only reads this file)
    special_tokens_map.json the names of special tokens (Transformers 4; kbert only reads this file)

The files are untrusted input, so the type of every value in them is checked.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from kbert import files
from kbert.errors import BundleError, UsageError, VocabularyError, shown
from kbert.text.settings import BERT, MAX_WORD_LENGTH, TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.added_tokens import find_added_tokens, place_added_tokens
from kbert.text.tokenizer_files.names import (
    ADDED_TOKENS_FILE,
    CONFIG_FILE,
    MODEL_CONFIG_FILE,
    NORMALIZATION_KEY,
    SPECIAL_TOKEN_KEYS,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_FILE,
    VOCABULARY_FILE,
)
from kbert.text.tokenizer_files.untrusted_json import MISSING, UNLIMITED, JsonObject, is_text
from kbert.text.vocabulary import CONTINUATION, UNK, Vocabulary

_JAPANESE = "BertJapaneseTokenizer"
_BERT_CLASSES = frozenset(
    f"{name}Tokenizer"
    for name in "Bert DistilBert Electra MobileBert ConvBert SqueezeBert RetriBert LayoutLM Lxmert DPRContextEncoder "
    "DPRQuestionEncoder DPRReader".split()
) | {"BertTokenizerLegacy"}
"""Transformers' classes that split text like BERT's, without the suffix "Fast"."""
_GENERAL_CLASSES = ("PreTrainedTokenizer", "TokenizersBackend")
"""Transformers' classes for any tokenizer.json, which use it unchanged. kbert writes such a name."""
_JAPANESE_TYPES = {"word_tokenizer_type": "basic", "subword_tokenizer_type": "wordpiece"}
"""The settings with which Transformers' class for Japanese splits text like BERT's class."""
_WORDPIECE = "WordPiece"
_WORDPIECE_KEYS = frozenset(("unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"))
"""The keys that show which model a tokenizer.json has if it does not name the type of its model, as files of early
releases of Hugging Face's tokenizers do not."""
_NORMALIZATION = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
"""The settings of the normalization in tokenizer_config.json, with their names in tokenizer.json."""
_LOG = logging.getLogger("kbert")
_JSON_START = re.compile(rb'\s*\{\s*"\w+"\s*:')


def load_tokenizer(folder: files.PathLike, *, special_tokens_in_text: bool | None = None) -> Tokenizer:
    """Reads the tokenizer of a model folder.

    If tokenizer_config.json and tokenizer.json differ in the normalization, the former takes precedence, as in
    Transformers, unless it names a class for any tokenizer.json, such as PreTrainedTokenizerFast, which uses that file
    unchanged; the logger "kbert" then warns. If there is only a vocab.txt, the tokenizer is that of the original
    release for uncased models.

    Args:
        folder: A folder with vocab.txt, tokenizer.json or both.
        special_tokens_in_text: Whether special tokens in text become their ids. None uses the setting in the files. As
            in Transformers, this is true unless they contain `"split_special_tokens": true`; it is false if there is
            only a vocab.txt.

    Raises:
        BundleError: Files are missing, damaged or contradictory, or are not those of a BERT tokenizer.
        VocabularyError: The vocabulary is invalid.
    """
    folder = Path(folder)
    files_ = _Files(
        folder,
        fast=JsonObject.read(folder / TOKENIZER_FILE),
        vocabulary=folder / VOCABULARY_FILE if (folder / VOCABULARY_FILE).is_file() else None,
        config=JsonObject.read(folder / CONFIG_FILE),
        special=JsonObject.read(folder / SPECIAL_TOKENS_FILE),
        added=JsonObject.read(folder / ADDED_TOKENS_FILE),
        model=JsonObject.read(folder / MODEL_CONFIG_FILE),
    )
    if not files_.fast.present and files_.vocabulary is None:
        raise BundleError(f"{folder}: expected a tokenizer: {VOCABULARY_FILE} or {TOKENIZER_FILE}. Neither is there")
    return _tokenizer(files_, special_tokens_in_text)


def load_tokenizer_file(path: files.PathLike) -> Tokenizer:
    """Reads the tokenizer of a tokenizer.json alone, with the settings in it. No other file of its folder is read.

    Args:
        path: The file, which may have any name.

    Raises:
        BundleError: The file is missing or damaged, or is not that of a BERT tokenizer.
        VocabularyError: The vocabulary in it is invalid.
    """
    fast = JsonObject.read(Path(path))
    if not fast.present:
        raise BundleError(f"{path}: expected a {TOKENIZER_FILE}. It does not exist")
    return _tokenizer(_Files(Path(path), fast), None)


def is_tokenizer_file(path: files.PathLike) -> bool:
    """Returns whether a file is a tokenizer.json and not a vocab.txt: it ends in .json, or begins like JSON."""
    path = Path(path)
    if not path.is_file():
        return False
    return path.suffix.lower() == ".json" or _JSON_START.match(files.text_head(path)) is not None


def _tokenizer(files_: _Files, special_tokens_in_text: bool | None) -> Tokenizer:
    folder, config, fast = files_.where, files_.config, files_.fast
    kind = _tokenizer_kind(config, files_.model, fast.present)
    for names in (config, files_.special):
        _check_names(names)
    vocabulary = _vocabulary(files_)
    normalizer = _part(fast, "normalizer", "BertNormalizer")
    if fast.present and kind in _GENERAL_CLASSES:
        config = _without_normalization(config, normalizer)
    _part(fast, "pre_tokenizer", "BertPreTokenizer")
    if fast.present and not normalizer.boolean("clean_text", True):
        raise BundleError(f"{fast.path}: normalizer.clean_text must be true. Received: false")
    model = fast.object("model")
    found = find_added_tokens(vocabulary, config=config, fast=fast, special=files_.special, plain=files_.added)
    vocabulary, added = place_added_tokens(folder, vocabulary, found)
    if special_tokens_in_text is None:
        is_foreign = any(each.present for each in (config, fast, files_.special, files_.added))
        special_tokens_in_text = is_foreign and not config.boolean("split_special_tokens", False)
    length = config.integer("model_max_length", UNLIMITED)
    try:
        settings = TokenizerSettings(
            lowercase=config.boolean("do_lower_case", normalizer.boolean("lowercase", kind != _JAPANESE)),
            strip_accents=config.boolean("strip_accents", normalizer.boolean("strip_accents", None)),
            # Transformers' class for Japanese never separates ideographs, regardless of this setting.
            chinese_characters=kind != _JAPANESE
            and config.boolean("tokenize_chinese_chars", normalizer.boolean("handle_chinese_chars", True)),
            special_tokens_in_text=special_tokens_in_text,
            added_tokens=tuple(token for _, token in added),
            never_split=tuple(config.strings("never_split")),
            max_word_length=model.integer("max_input_chars_per_word", MAX_WORD_LENGTH),
            model_max_length=length if length < UNLIMITED else None,
            normalization=config.text(NORMALIZATION_KEY, BERT),
        )
    except UsageError as problem:
        raise BundleError(f"{folder}: {problem}") from None
    return Tokenizer.from_settings(vocabulary, settings)


def _without_normalization(config: JsonObject, normalizer: JsonObject) -> JsonObject:
    """Returns tokenizer_config.json without the settings that its class does not use, and warns if they differ.

    Args:
        config: The tokenizer_config.json.
        normalizer: The normalizer in tokenizer.json, which such a class uses unchanged.
    """
    for key, same in _NORMALIZATION.items():
        said, used = config.boolean(key, None), normalizer.boolean(same, None)
        if said is not None and used is not None and said != used:
            _LOG.warning(
                f"{config.path} says {key}={said}, and {normalizer.path} {same}={used}, which is used, as in "
                f"Transformers' class {config.values.get('tokenizer_class')}; make the two equal"
            )
    return JsonObject(config.path, {key: value for key, value in config.values.items() if key not in _NORMALIZATION})


def has_settings(folder: files.PathLike) -> bool:
    """Returns whether a folder contains the settings of a tokenizer in addition to a vocabulary."""
    return any((Path(folder) / name).is_file() for name in (CONFIG_FILE, TOKENIZER_FILE))


def _tokenizer_kind(config: JsonObject, model: JsonObject, is_fast: bool) -> str | None:
    """Returns the name of the tokenizer's class without the suffix "Fast", or None if no file names it.

    A tokenizer.json describes how words are found, and is checked by itself. Without it, the class determines this.

    Raises:
        BundleError: The class splits text into other words than BERT's.
    """
    source = config if config.values.get("tokenizer_class") is not None else model
    name = source.values.get("tokenizer_class")
    if name is not None and not isinstance(name, str):
        raise source.wrong("tokenizer_class", "a string", name)
    kind = None if name is None else name.removesuffix("Fast")
    for key, usual in _JAPANESE_TYPES.items():
        value = config.values.get(key)
        if value is not None and value != usual:
            raise _other_words(config, f"{_named(kind)}{key} {shown(value)}")
    for key in ("do_word_tokenize", "do_subword_tokenize"):
        if not config.boolean(key, True):
            raise _other_words(config, f"{_named(kind)}{key} false")
    if is_fast or kind is None or kind in (_JAPANESE, *_GENERAL_CLASSES, *_BERT_CLASSES):
        return kind
    raise _other_words(source, f"tokenizer_class {shown(name)}")


def _named(kind: str | None) -> str:
    return "" if kind is None else f"{shown(kind)} with "


def _other_words(source: JsonObject, received: str) -> BundleError:
    return BundleError(
        f"{source.path}: expected a tokenizer that finds words as BERT's BertTokenizer does. Received: {received}, "
        "which would give other ids than kbert. Choose a model with BERT's own tokenizer; or separate the words of all "
        "texts with spaces by that tool, and write "
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": false, "tokenize_chinese_chars": false} into '
        f"{source.path.parent / CONFIG_FILE} of a copy of the folder"
    )


def _part(fast: JsonObject, name: str, kind: str) -> JsonObject:
    part = _only_member(fast.object(name))
    found = part.values.get("type")
    if found is None and name == "model" and part.values.keys() >= _WORDPIECE_KEYS:
        found = _WORDPIECE
    if fast.present and found != kind:
        raise BundleError(
            f"{fast.path}: expected a BERT tokenizer, with {name} of type {kind}. Received: {shown(found)}"
        )
    return part


def _only_member(part: JsonObject) -> JsonObject:
    """Returns the member of a Sequence of normalizers or pre-tokenizers that has only one; other parts unchanged."""
    if part.values.get("type") != "Sequence":
        return part
    for key in ("normalizers", "pretokenizers"):
        members = part.values.get(key)
        if isinstance(members, list) and len(members) == 1 and isinstance(members[0], dict):
            return JsonObject(part.path, members[0], name=f"{part.name}{key}[0].")
    return part


@dataclasses.dataclass(frozen=True)
class _Files:
    """The files that describe a tokenizer. Files that are missing are objects without values.

    Args:
        where: The folder, or the only file, for errors.
        fast: The tokenizer.json.
        vocabulary: The path of vocab.txt; None if there is none.
        config: The tokenizer_config.json.
        special: The special_tokens_map.json.
        added: The added_tokens.json.
        model: The config.json of the model.
    """

    where: Path
    fast: JsonObject
    vocabulary: Path | None = None
    config: JsonObject = MISSING
    special: JsonObject = MISSING
    added: JsonObject = MISSING
    model: JsonObject = MISSING


def _vocabulary(files_: _Files) -> Vocabulary:
    fast, path = files_.fast, files_.vocabulary
    if not fast.present:
        assert path is not None
        return Vocabulary.from_file(path)
    model = _part(fast, "model", _WORDPIECE)
    prefix = model.text("continuing_subword_prefix", CONTINUATION)
    unknown = model.text("unk_token", UNK)
    if prefix != CONTINUATION or unknown != UNK:
        raise BundleError(
            f"{fast.path}: model must have continuing_subword_prefix {CONTINUATION!r} and unk_token {UNK!r}. "
            f"Received: {shown(prefix)} and {shown(unknown)}"
        )
    ids = model.object("vocab").values
    for token, index in ids.items():
        if not is_text(token) or not isinstance(index, int) or isinstance(index, bool):
            raise VocabularyError(
                f"model.vocab must map text to integers. Received: {shown((token, index))}", fast.path
            )
    if path is not None:
        vocabulary = Vocabulary.from_file(path)
        if not _are_same(vocabulary, ids):
            raise BundleError(
                f"{files_.where}: {VOCABULARY_FILE} and {TOKENIZER_FILE} must hold the same vocabulary; remove "
                "the one that does not belong to the model. Received: different vocabularies"
            )
        return vocabulary
    # The ids in a tokenizer.json made from a vocab.txt with repeated lines have gaps, but not more gaps than tokens.
    tokens: list[str | None] = [None] * min(max([-1, *ids.values()]) + 1, 2 * len(ids))
    for token, index in ids.items():
        if not 0 <= index < len(tokens) or tokens[index] is not None:
            raise VocabularyError(
                f"model.vocab must give its {len(ids)} tokens the ids 0 to {len(ids) - 1}, each once. "
                f"Received: {shown(token)} with id {shown(index)}",
                fast.path,
            )
        tokens[index] = token
    return Vocabulary(["" if token is None else token for token in tokens], fast.path)


def _are_same(vocabulary: Vocabulary, ids: Mapping[str, int]) -> bool:
    """Returns whether a vocab.txt and a tokenizer.json have the same ids for all tokens that are used.

    Repeated and blank lines are missing in tokenizer.json, or have another name there.
    """
    stripped = {token.strip(): index for token, index in ids.items()}
    if any(stripped.get(token) != index for token, index in vocabulary.ids.items() if token):
        return False
    for token, index in ids.items():
        if not token.strip() or len(vocabulary) <= index < len(vocabulary) + vocabulary.blank_end:
            continue
        if not 0 <= index < len(vocabulary):
            return False
        line = vocabulary[index]
        if line and vocabulary.ids[line] == index and line != token.strip():
            return False
    return True


def _check_names(names: JsonObject) -> None:
    for key, expected in SPECIAL_TOKEN_KEYS.items():
        value = names.values.get(key)
        content = value.get("content") if isinstance(value, dict) else value
        if value is not None and content != expected:
            raise BundleError(
                f"{names.path}: {key} must be {expected}, the only name that kbert knows. Received: {shown(content)}"
            )
