"""The added tokens that the files of a tokenizer describe, each of which may describe some of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kbert.errors import BundleError, UsageError, shown
from kbert.text.settings import AddedToken
from kbert.text.tokenizer_files.untrusted_json import JsonObject, is_text
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

_FLAGS = ("special", "normalized", "single_word", "lstrip", "rstrip")


def find_added_tokens(
    vocabulary: Vocabulary, *, config: JsonObject, fast: JsonObject, special: JsonObject, plain: JsonObject
) -> dict[str, tuple[int, AddedToken]]:
    """Returns (id, token) of added tokens, and of special tokens with their own matching settings, by content.

    Args:
        vocabulary: The vocabulary without the added tokens.
        config: The tokenizer_config.json.
        fast: The tokenizer.json.
        special: The special_tokens_map.json.
        plain: The added_tokens.json.

    Raises:
        BundleError: A value has the wrong type, or cannot be a token.
    """
    found: dict[str, tuple[int, AddedToken]] = {}
    # The order of precedence is tokenizer.json, tokenizer_config.json, then the files of Transformers 4.
    rows = fast.values.get("added_tokens") or []
    if not isinstance(rows, list):
        raise fast.wrong("added_tokens", "a list", rows)
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise fast.wrong(f"added_tokens[{number}]", "an object", row)
        _add(found, JsonObject(fast.path, row, name=f"added_tokens[{number}]."), None)
    decoder = config.object("added_tokens_decoder")
    for key in decoder.values:
        _add(found, decoder.object(key), key)
    specials = _special_names(config) | _special_names(special)
    for content in plain.values:
        index = plain.integer(content, -1)
        if content not in found:
            is_special = content in specials
            found[content] = index, _checked(plain, content, {"special": is_special, "normalized": not is_special})
    for content in specials:
        if content not in found and content in vocabulary:
            found[content] = vocabulary.ids[content], _checked(config, content, {"special": True})
    return found


def place_added_tokens(
    folder: Path, vocabulary: Vocabulary, found: Mapping[str, tuple[int, AddedToken]]
) -> tuple[Vocabulary, list[tuple[int, AddedToken]]]:
    """Returns the vocabulary, and the added tokens in the order of their ids, which follow those of the vocabulary.

    Blank lines at the end of a vocab.txt are not tokens, but Transformers counts them when it assigns ids to added
    tokens.

    Raises:
        BundleError: The ids of the added tokens do not follow those of the vocabulary.
    """
    behind = [index for content, (index, _) in found.items() if content not in vocabulary]
    if behind:
        vocabulary = vocabulary.with_blank_end(min(behind))
    added = []
    expected = len(vocabulary)
    for content, (index, token) in sorted(found.items(), key=lambda item: item[1][0]):
        wanted = vocabulary.ids.get(content, expected)
        if index != wanted:
            raise BundleError(
                f"{folder}: added tokens must follow the vocabulary without a gap. Received: {shown(content)} with id "
                f"{shown(index)}, expected {wanted}"
            )
        expected += content not in vocabulary
        if token != AddedToken(content, special=True) or content not in SPECIAL_TOKENS:
            added.append((index, token))
    return vocabulary, added


def _add(found: dict[str, tuple[int, AddedToken]], row: JsonObject, key: str | None) -> None:
    content = row.text("content")
    index = row.integer("id", -1) if key is None else int(key) if key.isdecimal() and len(key) < 10 else -1
    flags = {flag: row.boolean(flag, False) for flag in _FLAGS}
    found.setdefault(content, (index, _checked(row, content, flags)))


def _checked(source: JsonObject, content: str, flags: dict[str, bool]) -> AddedToken:
    if not is_text(content):
        raise source.wrong("content", "text", content)
    try:
        return AddedToken(content, **flags)
    except UsageError as problem:
        raise BundleError(f"{source.path}: {problem}") from None


def _special_names(source: JsonObject) -> set[str]:
    """Returns the additional special tokens that a file names."""
    names = set()
    for key in ("additional_special_tokens", "extra_special_tokens"):
        values = source.values.get(key) or []
        for value in values.values() if isinstance(values, dict) else values if isinstance(values, list) else [values]:
            content = value.get("content") if isinstance(value, dict) else value
            if not isinstance(content, str):
                raise source.wrong(key, "a list of tokens", values)
            names.add(content)
    return names
