"""Writes the files of a tokenizer, as Hugging Face Transformers 4 and 5 read them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from kbert import files
from kbert.options import option_error
from kbert.text.settings import BERT, AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.names import (
    ADDED_TOKENS_FILE,
    CONFIG_FILE,
    NORMALIZATION_KEY,
    SPECIAL_TOKEN_KEYS,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_FILE,
    VOCABULARY_FILE,
)
from kbert.text.vocabulary import CLS, CONTINUATION, SEP, SPECIAL_TOKENS, UNK


def save_tokenizer(tokenizer: Tokenizer, folder: files.PathLike) -> None:
    """Writes vocab.txt, tokenizer.json and tokenizer_config.json to a folder, each atomically.

    Existing added_tokens.json and special_tokens_map.json are removed, since they would be read together with the new
    files. tokenizer.json has no setting for `never_split` or for MediaPipe's normalization, so Hugging Face's
    tokenizers ignore them.
    """
    folder = Path(folder)
    tokenizer.vocabulary.save(folder / VOCABULARY_FILE)
    files.write_json(folder / TOKENIZER_FILE, _tokenizer_json(tokenizer))
    files.write_json(folder / CONFIG_FILE, _tokenizer_config(tokenizer))
    for name in (ADDED_TOKENS_FILE, SPECIAL_TOKENS_FILE):
        (folder / name).unlink(missing_ok=True)


def is_vocabulary_file(output: files.PathLike) -> bool:
    """Returns whether the output of vocabulary training is a vocab.txt, and not a folder."""
    return os.fspath(output).endswith(".txt") or os.path.isfile(output)


def check_vocabulary_output(output: files.PathLike) -> None:
    """Checks that vocabulary training can write its output: a file, or a new or empty folder.

    Raises:
        OptionError: The output is a folder with files.
    """
    if os.path.isdir(output) and (is_vocabulary_file(output) or os.listdir(output)):
        raise option_error(
            lambda spell: f"{spell('output')} must be a vocab.txt, or a new or empty folder. Received: {output}"
        )


def save_vocabulary_output(tokenizer: Tokenizer, output: files.PathLike) -> None:
    """Writes the output of vocabulary training: a vocab.txt, or a folder that also stores how text is normalized."""
    if is_vocabulary_file(output):
        tokenizer.vocabulary.save(output)
    else:
        os.makedirs(output, exist_ok=True)
        save_tokenizer(tokenizer, output)


def _tokenizer_config(tokenizer: Tokenizer) -> dict[str, Any]:
    settings = tokenizer.settings
    specials = [
        token.content for token in settings.added_tokens if token.special and token.content not in SPECIAL_TOKENS
    ]
    values: dict[str, Any] = {
        # This class uses tokenizer.json unchanged; BertTokenizer ignores max_input_chars_per_word.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "do_lower_case": settings.lowercase,
        "strip_accents": settings.strip_accents,
        "tokenize_chinese_chars": settings.chinese_characters,
        "split_special_tokens": not settings.special_tokens_in_text,
        "model_max_length": settings.model_max_length or 10**30,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **SPECIAL_TOKEN_KEYS,
        "added_tokens_decoder": {str(row.pop("id")): row for row in _added_rows(tokenizer)},
    }
    if specials:
        values["additional_special_tokens"] = specials
    if settings.normalization != BERT:
        values[NORMALIZATION_KEY] = settings.normalization
    if settings.never_split:
        values["never_split"] = list(settings.never_split)
    return values


def _tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    settings, vocabulary = tokenizer.settings, tokenizer.vocabulary

    def special(token: str, type_id: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": type_id}}

    def text(name: str, type_id: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": type_id}}

    single = [special(CLS, 0), text("A", 0), special(SEP, 0)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_rows(tokenizer),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": settings.chinese_characters,
            "strip_accents": settings.strip_accents,
            "lowercase": settings.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, text("B", 1), special(SEP, 1)],
            "special_tokens": {
                token: {"id": token, "ids": [vocabulary.ids[token]], "tokens": [token]} for token in (CLS, SEP)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": CONTINUATION, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": UNK,
            "continuing_subword_prefix": CONTINUATION,
            "max_input_chars_per_word": settings.max_word_length,
            "vocab": {token: index for index, token in enumerate(vocabulary.distinct_pieces)},
        },
    }


def _added_rows(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Returns the special and added tokens in the format of Hugging Face, in the order of their ids."""
    tokens = {content: AddedToken(content, special=True) for content in SPECIAL_TOKENS}
    tokens |= {token.content: token for token in tokenizer.settings.added_tokens}
    ids = tokenizer.vocabulary.ids
    return [{"id": ids[name], **dataclasses.asdict(tokens[name])} for name in sorted(tokens, key=ids.__getitem__)]
