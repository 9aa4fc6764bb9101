"""Extends the vocabulary of a model by the words of a domain, whose embeddings are initialized from their pieces.

Existing tokens keep their ids, and their weights stay bit-identical. The row of a new word in the token table, and its
bias in the head of a masked language model, are the means over the pieces into which the old vocabulary splits the
word, so the model starts close to what it knew about the word.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kbert import files
from kbert.conversion.command_options import ExtendVocabularyOptions
from kbert.errors import DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.card import describe_parameters, model_card
from kbert.model_folder.hub import resolve
from kbert.model_folder.parts import DECODER, MLM_BIAS, TOKEN_TABLE
from kbert.options import with_options
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source
from kbert.text.domain_words import domain_words
from kbert.text.text_sample import describe_long_words
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.names import CONFIG_FILE, TOKENIZER_FILE
from kbert.text.vocabulary import Vocabulary
from kbert.text.vocabulary_training import count_words

_LOG = logging.getLogger("kbert")

_PER_TOKEN = (TOKEN_TABLE, MLM_BIAS, DECODER)
"""The tensors with one entry per token of the vocabulary."""
_UNUSED = re.compile(r"\[unused\d+\]")


@dataclasses.dataclass(frozen=True)
class Extension:
    """The result of `extend_vocabulary`.

    Args:
        words: The new words and their ids.
        vocabulary_size: The number of entries of the new vocabulary.
        seen: The number of distinct words in the text.
        tokens_before: The number of tokens of the text's words with the old vocabulary.
        tokens_after: The number of tokens of the text's words with the new vocabulary.
        left_out: The number of lines or documents that were left out of the text, by reason (invalid_utf8,
            duplicate_lines and so on).
    """

    words: dict[str, int]
    vocabulary_size: int
    seen: int
    tokens_before: int
    tokens_after: int
    left_out: Mapping[str, int]


@with_options(ExtendVocabularyOptions)
def extend_vocabulary(
    model: files.PathLike,
    *,
    options: ExtendVocabularyOptions,
    progress: Callable[[int, int], None] | None = None,
) -> Extension:
    """Writes a copy of a model whose vocabulary is extended by words of a text.

    The words are those whose entries save the most tokens. Added tokens of the model, whose ids follow those of
    vocab.txt, keep their ids: they become lines of the new vocab.txt, and the new words follow them. The outputs of the
    copy change only for texts with new words. Continue its training with `kbert pretrain`, on a corpus that is built
    with the copy as `vocab`, so that all settings of its tokenizer are used.

    Args:
        model: A model folder of any kind, or a model of the Hugging Face Hub as "hf://owner/name".
        options: All of these options in one object.
        progress: Called with the number of bytes read and the total number of bytes.

    Raises:
        UsageError: An option is invalid, the folder is not empty, or an added token of the model cannot be a line of
            vocab.txt.
        DataError: The text has no word to add.
        BundleError: The folder of the model is missing, incomplete or damaged.
    """
    folder = files.check_new_folder(options.output)
    reader = Source(options.inputs, options.narrowed(SourceSettings))
    bundle = Bundle.load(resolve(model))
    old = bundle.tokenizer
    own_tokens = old.vocabulary.tokens[old.vocabulary.piece_count :]
    no_lines = [token for token in own_tokens if "\n" in token or "\r" in token or token != token.strip()]
    if no_lines:
        raise UsageError(
            f"the vocabulary of {model} cannot be extended: its added token {no_lines[0]!r} would have to become a "
            "line of vocab.txt, but it contains a line break, or begins or ends with white space; remove it from "
            f"{TOKENIZER_FILE} and {CONFIG_FILE} in a copy of the model"
        )
    counts = count_words(
        reader,
        normalizer=old.normalizer,
        progress=None if progress is None else lambda stage, done, total: progress(done, total),
    )
    # An added token is already a single token, so it is not a new word.
    for word in set(own_tokens):
        counts.pop(word, None)
    words = domain_words(counts, old.wordpiece, limit=options.add, minimum_frequency=options.minimum_frequency)
    long_words = _describe_long_words(counts, old.wordpiece.max_word_length)
    if not words:
        raise DataError(
            f"expected words that the vocabulary splits and that occur at least {options.minimum_frequency} times. "
            "The text has none" + (f"; {long_words}" if long_words else ""),
            reader.parts[0][0],
        )
    if long_words:
        _LOG.warning(f"words that are too long are not added: {long_words}")
    extended, places = _extended(bundle, words, use_unused=options.use_unused)
    parameters = sum(tensor.size for tensor in extended.tensors.values())
    extended.save(folder, _card(model, folder, parameters, len(words)))

    def tokens(tokenizer: Tokenizer) -> int:
        return sum(count * len(tokenizer.wordpiece.pieces(word)) for word, count in counts.items())

    return Extension(
        words=dict(zip(words, places, strict=True)),
        vocabulary_size=len(extended.tokenizer.vocabulary),
        seen=len(counts),
        tokens_before=tokens(old),
        tokens_after=tokens(extended.tokenizer),
        left_out=dict(reader.counts),
    )


def _describe_long_words(counts: Mapping[str, int], longest: int) -> str:
    """Returns a sentence about words that exceed the tokenizer's limit of length; "" if there are none."""
    long = [word for word in counts if len(word) > longest]
    return describe_long_words(sum(counts[word] for word in long), longest, long[0]) if long else ""


def _extended(bundle: Bundle, words: Sequence[str], *, use_unused: bool) -> tuple[Bundle, list[int]]:
    """Returns the bundle with new words, and the ids of these words."""
    old = bundle.tokenizer
    tokens = list(old.vocabulary)
    unused = [index for index, token in enumerate(tokens) if _UNUSED.fullmatch(token)] if use_unused else []
    places = [*unused[: len(words)]]
    places += range(len(tokens), len(tokens) + len(words) - len(places))
    tokens += [""] * (places[-1] + 1 - len(tokens))
    for word, place in zip(words, places, strict=True):
        tokens[place] = word
    # The token table may have more rows than the vocabulary has tokens; the unused rows are available.
    rows = max(bundle.config.vocab_size, len(tokens))
    pieces = [[piece for piece, _ in old.wordpiece.pieces(word)] for word in words]
    tensors = {
        name: _with_means(tensor, rows, places, pieces) if name in _PER_TOKEN else tensor
        for name, tensor in bundle.tensors.items()
    }
    extended = dataclasses.replace(
        bundle,
        config=bundle.config.replace(vocab_size=rows),
        tokenizer=Tokenizer.from_settings(Vocabulary(tokens), old.settings),
        tensors=tensors,
    )
    return extended, places


def _with_means(tensor: np.ndarray, rows: int, places: Sequence[int], pieces: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns a per-token tensor with `rows` entries; the entry of each new word is the mean over its pieces.

    Args:
        tensor: The tensor, with one entry per token.
        rows: The number of entries of the result.
        places: The ids of the new words.
        pieces: The ids of the pieces of each new word in the old vocabulary.
    """
    longer = np.zeros((rows, *tensor.shape[1:]), tensor.dtype)
    longer[: len(tensor)] = tensor
    for place, old in zip(places, pieces, strict=True):
        longer[place] = tensor[old].astype(np.float32).mean(axis=0).astype(tensor.dtype)
    return longer


def _card(model: files.PathLike, folder: Path, parameters: int, words: int) -> str:
    return model_card(
        f"BERT ({describe_parameters(parameters)}) with {words:,} more words, made with kbert",
        {"Made from": str(model), "New words": f"{words:,}, their embeddings the means of their pieces; train it on"},
        f"kbert corpus build TEXT --vocab {folder} --output CORPUS\n"
        f"kbert pretrain --corpus CORPUS --model {folder} --steps 1000 --output RUN",
    )
