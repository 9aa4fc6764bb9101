"""Trims the vocabulary of a model to the tokens that a corpus uses.

Multilingual models spend most of their memory on the token table. The texts of the corpus have the same tokens as
before, and the rows of the kept tokens are bit-identical, so the outputs of the model for these texts do not change.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.conversion.command_options import TrimVocabularyOptions
from kbert.errors import DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.card import describe_parameters, model_card
from kbert.model_folder.hub import resolve
from kbert.model_folder.parts import PARTS
from kbert.model_folder.sentence_transformers import CROSS_ENCODER
from kbert.options import with_options
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source
from kbert.text.replacement_table import is_cjk
from kbert.text.settings import TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.unreachable_entries import unreachable_entries
from kbert.text.used_tokens import UsedTokens
from kbert.text.vocabulary import CONTINUATION, SPECIAL_TOKENS, Vocabulary
from kbert.text.vocabulary_statistics import kind_of, script_of

_LOG = logging.getLogger("kbert")

_PER_TOKEN = frozenset(name for part in PARTS.values() if part.letters.startswith("V") for name in part.names())
"""The tensors with one entry per token of the vocabulary."""
_LEAST_OF_A_SCRIPT = 0.001
"""The fraction of the corpus's tokens from which on a script counts as one of the corpus."""


@dataclasses.dataclass(frozen=True)
class Trimming:
    """The result of `trim_vocabulary`.

    Args:
        entries_before: The number of rows of the token table before.
        entries_after: The number of rows of the token table after, which is the size of the vocabulary.
        used: The number of entries that the corpus uses.
        characters: The number of entries of a single character that are kept although the corpus does not use them.
        tokens: The number of tokens of the corpus.
        bytes_before: The size of the weights before, in bytes.
        bytes_after: The size of the weights after, in bytes.
        unknown_before: The fraction of the tokens of the held-out text that are [UNK], before; None without such text.
        unknown_after: The same fraction after.
        held_out_before: The number of tokens of the held-out text before; None without such text.
        held_out_after: The same number after. It is larger, since words are split that had an entry of their own.
        left_out: The number of lines or documents that were left out of the corpus, by reason (invalid_utf8,
            duplicate_lines and so on).
    """

    entries_before: int
    entries_after: int
    used: int
    characters: int
    tokens: int
    bytes_before: int
    bytes_after: int
    unknown_before: float | None
    unknown_after: float | None
    held_out_before: int | None
    held_out_after: int | None
    left_out: Mapping[str, int]


@with_options(TrimVocabularyOptions)
def trim_vocabulary(
    model: files.PathLike,
    *,
    options: TrimVocabularyOptions,
    progress: Callable[[int, int], None] | None = None,
) -> Trimming:
    """Writes a copy of a model whose vocabulary has only the tokens that a corpus uses.

    Special and added tokens are always kept, and so are the tokens of the prompts of a model for embedding. With
    `minimum_frequency` 1, the texts of the corpus have the same tokens as before, and the encoder's outputs for them
    are the same to the bit. The ids of the tokens change, so texts must be tokenized with the copy.

    Args:
        model: A model folder of any kind, or a model of the Hugging Face Hub as "hf://owner/name".
        options: All of these options in one object.
        progress: Called with the number of bytes read and the total number of bytes.

    Example:
        >>> trimming = kbert.trim_vocabulary("pretrained", corpus=["text.txt"], output="small", characters="used")
        >>> trimming.entries_after <= trimming.entries_before
        True

    Raises:
        UsageError: An option is invalid, the folder is not empty, or the model has modules that kbert cannot write.
        DataError: A file has no text, or `keep` names a word that the vocabulary cannot represent.
        BundleError: The folder of the model is missing, incomplete or damaged.
    """
    folder = files.check_new_folder(options.output)
    settings = options.narrowed(SourceSettings)
    reader = Source(options.corpus, settings)
    held_out = Source(options.held_out, settings) if options.held_out else None
    bundle = Bundle.load(resolve(model))
    modules = bundle.modules
    if modules is not None and not modules.gives_vectors and modules.kind != CROSS_ENCODER:
        raise UsageError(
            f"expected a model whose modules kbert can write. Received: {model}, which has {modules.unsupported}; give "
            "the folder of its transformer alone, and put its files into a copy of the model"
        )
    tokenizer = bundle.tokenizer
    used = UsedTokens(tokenizer)
    used.add_source(reader, progress=progress)
    needed = used.tokens + used.partial >= options.minimum_frequency
    characters = _characters(tokenizer, used.tokens, options.characters)
    kept = needed | characters
    kept[_always_kept(tokenizer)] = True
    kept[_ids_of(tokenizer, _prompts(bundle))] = True
    if options.keep is not None:
        kept[_ids_of_file(tokenizer, options.keep)] = True
    trimmed = _trimmed(bundle, np.flatnonzero(kept))
    before = after = None
    if held_out is not None:
        before, after = UsedTokens(tokenizer), UsedTokens(trimmed.tokenizer)
        for each in (before, after):
            each.add_source(held_out)
    trimmed.save(folder, _card(model, folder, trimmed, bundle.config.vocab_size))
    return Trimming(
        entries_before=bundle.config.vocab_size,
        entries_after=len(trimmed.tokenizer.vocabulary),
        used=int(np.count_nonzero(used.tokens)),
        characters=int(np.count_nonzero(characters & ~needed)),
        tokens=int(used.tokens.sum()),
        bytes_before=_size(bundle),
        bytes_after=_size(trimmed),
        unknown_before=None if before is None else before.unknown,
        unknown_after=None if after is None else after.unknown,
        held_out_before=None if before is None else int(before.tokens.sum()),
        held_out_after=None if after is None else int(after.tokens.sum()),
        left_out=dict(reader.counts),
    )


def _size(bundle: Bundle) -> int:
    return sum(tensor.nbytes for tensor in bundle.tensors.values())


def _always_kept(tokenizer: Tokenizer) -> list[int]:
    """Returns the ids of the special tokens, and of all tokens that are found in text as a whole."""
    vocabulary = tokenizer.vocabulary
    names = {*SPECIAL_TOKENS, *(token.content for token in tokenizer.settings.added_tokens)}
    return [*(vocabulary.ids[name] for name in names), *range(vocabulary.piece_count, len(vocabulary))]


def _characters(tokenizer: Tokenizer, counts: np.ndarray, which: str) -> np.ndarray:
    """Returns which entries of a single character are kept even if the corpus does not use them, bool [V].

    Args:
        tokenizer: The tokenizer.
        counts: The number of times that the corpus uses each entry, int64 [V].
        which: See `TrimVocabularyOptions.characters`.
    """
    vocabulary = tokenizer.vocabulary
    kept = np.zeros(len(vocabulary), bool)
    if which == "used":
        return kept
    scripts: Counter[str] = Counter()
    for index in np.flatnonzero(counts).tolist():
        if kind_of(vocabulary[index]) != "special":
            scripts[script_of(_body(vocabulary[index]))] += int(counts[index])
    least = _LEAST_OF_A_SCRIPT * scripts.total()
    unreachable = {token for tokens in unreachable_entries(tokenizer).values() for token in tokens}
    for token, index in vocabulary.piece_ids.items():
        if token not in unreachable and _is_character(token, tokenizer.settings):
            kept[index] = which == "all" or scripts[script_of(_body(token))] >= max(1, least)
    return kept


def _body(token: str) -> str:
    return token.removeprefix(CONTINUATION) or token


def _is_character(token: str, settings: TokenizerSettings) -> bool:
    """Returns whether an entry is a single character that can occur at its place in a word."""
    body = _body(token)
    # An ideograph that is a word of its own never continues a word.
    return len(body) == 1 and (body == token or not (settings.chinese_characters and is_cjk(ord(body))))


def _prompts(bundle: Bundle) -> list[str]:
    """Returns the prompts of a model for embedding, which are put before its texts."""
    task = bundle.settings.get("task")
    saved: Mapping[str, Any] = task if isinstance(task, dict) else {}
    named = saved.get("prompts")
    found = [*(named.values() if isinstance(named, dict) else ()), saved.get("prompt"), saved.get("pair_prompt")]
    if bundle.modules is not None:
        found += bundle.modules.prompts.values()
    return [prompt for prompt in found if isinstance(prompt, str)]


def _ids_of(tokenizer: Tokenizer, texts: Iterable[str]) -> list[int]:
    return sorted({index for text in texts for index in tokenizer.ids(text)})


def _ids_of_file(tokenizer: Tokenizer, path: files.PathLike) -> list[int]:
    """Returns the ids of the entries that a file of `keep` names, and of the tokens of its texts.

    Raises:
        DataError: A line is neither an entry nor a text that the vocabulary can represent.
    """
    found: set[int] = set()
    unknown = tokenizer.vocabulary.unk_id
    for number, line in enumerate(files.read_lines(path), start=1):
        text = line.strip()
        if text in tokenizer.vocabulary:
            found.add(tokenizer.vocabulary.ids[text])
            continue
        ids = tokenizer.ids(text)
        if unknown in ids:
            raise DataError(
                f"expected an entry of the vocabulary, or words that it can split. Received: {text!r:.80}", path, number
            )
        found.update(ids)
    return sorted(found)


def _trimmed(bundle: Bundle, kept: np.ndarray) -> Bundle:
    """Returns the bundle with some entries of its vocabulary, in their order.

    Args:
        bundle: The bundle.
        kept: The ids of the entries, in ascending order, int64 [K].
    """
    old = bundle.tokenizer.vocabulary
    pieces = int(np.count_nonzero(kept < old.piece_count))
    vocabulary = Vocabulary([old[index] for index in kept.tolist()], piece_count=pieces)
    places = {index: place for place, index in enumerate(kept.tolist())}
    pad = places.get(bundle.config.pad_token_id, vocabulary.pad_id)
    return dataclasses.replace(
        bundle,
        config=bundle.config.replace(vocab_size=len(kept), pad_token_id=pad),
        tokenizer=Tokenizer.from_settings(vocabulary, bundle.tokenizer.settings),
        tensors={name: tensor[kept] if name in _PER_TOKEN else tensor for name, tensor in bundle.tensors.items()},
        foreign_config={name: _moved(name, value, places) for name, value in bundle.foreign_config.items()},
    )


def _moved(name: str, value: Any, places: Mapping[int, int]) -> Any:
    """Returns the value of a further key of config.json; the id of a token, such as `sep_token_id`, is the new one."""
    is_id = name.endswith("_token_id") and isinstance(value, int) and not isinstance(value, bool)
    return places.get(value) if is_id else value


def _card(model: files.PathLike, folder: Path, bundle: Bundle, entries_before: int) -> str:
    entries = len(bundle.tokenizer.vocabulary)
    parameters = sum(tensor.size for tensor in bundle.tensors.values())
    return model_card(
        f"BERT ({describe_parameters(parameters)}) with a trimmed vocabulary, made with kbert",
        {"Made from": str(model), "Vocabulary": f"{entries:,} of {entries_before:,} entries"},
        f"kbert inspect {folder}",
    )
