"""Trains a WordPiece vocabulary on any number of files, in bounded memory.

kbert normalizes and counts words, so that all pieces can occur in text that its tokenizer normalizes. The trainer of
the `tokenizers` package then chooses the pieces from the counts.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.options import with_options
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source
from kbert.text.normalization import Normalizer
from kbert.text.options import TrainVocabularyOptions
from kbert.text.replacement_table import ReplacementTable
from kbert.text.settings import MAX_WORD_LENGTH, TokenizerSettings
from kbert.text.text_sample import describe_long_words, sample_text, tell_lost_marks
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.writing import check_vocabulary_output, save_vocabulary_output
from kbert.text.vocabulary import CONTINUATION, SPECIAL_TOKENS, Vocabulary

Progress = Callable[[str, int, int], None]
"""A function that is called with (stage, done, total): bytes of text while counting, zeros while pieces are chosen."""

_MOST_WORDS = 2_000_000
"""The maximum number of distinct words in memory (about 250 MB). Above it, the rarest are dropped."""
_MUCH_LONG = 0.001
"""The fraction of characters in words that are too long, above which there is a warning."""
_LOG = logging.getLogger("kbert")
_TRAINED_WORDS = 100_000_000
"""The maximum number of words passed to the trainer. The counts of a larger corpus are scaled down in proportion."""


@with_options(TrainVocabularyOptions)
def train_vocabulary(
    inputs: Sequence[files.PathLike] | Source,
    *,
    options: TrainVocabularyOptions,
    progress: Progress | None = None,
) -> Vocabulary:
    """Trains a WordPiece vocabulary.

    A vocabulary does not contain the settings of normalization: use it with the same `cased` and `strip_accents`, or
    use `train_tokenizer`, whose result contains them. The logger "kbert" warns about scripts that lose vowel signs with
    the accents, and about words that are too long.

    Example:
        >>> vocabulary = kbert.train_vocabulary(["text.txt"], size=60)
        >>> len(vocabulary) <= 60
        True

    Args:
        inputs: Files (also .gz, .bz2, .xz, .zst), folders, globs, or datasets by name (see `Source`); or a `Source`,
            which has its own settings, and whose `counts` then contain what was left out.
        options: All of these options in one object. The settings for reading can be an object of `SourceSettings`.
        progress: A function that is called as the training proceeds (see `Progress`).

    Raises:
        UsageError: An input does not exist, or an option is invalid.
        DataError: A file is not UTF-8, there is no text at all, or all words are too long.
    """
    return train_tokenizer(inputs, options=options, progress=progress).vocabulary


@with_options(TrainVocabularyOptions)
def train_tokenizer(
    inputs: Sequence[files.PathLike] | Source,
    *,
    options: TrainVocabularyOptions,
    progress: Progress | None = None,
) -> Tokenizer:
    """Trains a WordPiece vocabulary, and returns a tokenizer with this vocabulary and its normalization.

    `build_corpus` accepts the tokenizer as `vocab`.

    Args:
        inputs: Files, folders, globs, or datasets by name; or a `Source`; see `train_vocabulary`.
        options: All of these options in one object. The settings for reading can be an object of `SourceSettings`.
        progress: A function that is called as the training proceeds (see `Progress`).

    Example:
        >>> tokenizer = kbert.train_tokenizer(["text.txt"], size=70, cased=True)
        >>> tokenizer.lowercase
        False

    Raises:
        UsageError: An input does not exist, or an option is invalid.
        DataError: A file is not UTF-8, there is no text at all, or all words are too long.
    """
    size, coverage = options.size, options.character_coverage
    if options.output is not None:
        check_vocabulary_output(options.output)
    reader = _source(inputs, options)
    strip_accents = None if options.strip_accents == (not options.cased) else options.strip_accents
    settings = TokenizerSettings(lowercase=not options.cased, strip_accents=strip_accents)
    normalizer = Normalizer(
        settings.lowercase, table=ReplacementTable(settings.lowercase, strip_accents=settings.strip_accents)
    )
    tell_lost_marks(sample_text(reader, normalizer, max_word_length=MAX_WORD_LENGTH), settings)
    words = count_words(reader, normalizer=normalizer, progress=progress)
    if not words:
        raise DataError("expected text to train a vocabulary on. The input holds no words", reader.parts[0][0])
    _check_lengths(words, reader.parts[0][0])
    alphabet = _alphabet(words, coverage)
    trained = _trained_words(words, alphabet, options.minimum_frequency)
    # The trainer numbers continuing characters in the random order of a hash table, and breaks ties between merges by
    # number. Characters that are passed as special tokens have a fixed order.
    continuing = {CONTINUATION + character for word, _ in trained for character in word[1:]}
    initial = [*SPECIAL_TOKENS, *sorted(alphabet), *sorted(continuing)]
    if size < len(initial):
        raise UsageError(
            f"size must have room for {len(SPECIAL_TOKENS)} special tokens and the {len(alphabet)} characters that "
            f"make up {coverage:.2%} of the text, {len(continuing)} of them also as continuations. "
            f"Received: size={size}; make it at least {len(initial)}, or lower the coverage"
        )
    if progress:
        progress("choosing pieces", 0, 0)
    scale = min(1.0, _TRAINED_WORDS / sum(words.values()))
    vocabulary = Vocabulary(_choose_pieces(trained, initial, size, options.minimum_frequency, scale))
    tokenizer = Tokenizer.from_settings(vocabulary, settings)
    if options.output is not None:
        save_vocabulary_output(tokenizer, options.output)
    return tokenizer


def _source(inputs: Sequence[files.PathLike] | Source, options: TrainVocabularyOptions) -> Source:
    """Returns the source of the text.

    Raises:
        UsageError: `inputs` is a `Source`, and the options have other settings for reading.
    """
    settings = options.narrowed(SourceSettings)
    if not isinstance(inputs, Source):
        return Source(inputs, settings)
    if settings not in (SourceSettings(), inputs.settings):
        raise UsageError(
            "a Source has its own settings for reading. Received: other settings as options; leave them out, or give "
            "the files instead of the Source"
        )
    return inputs


def count_words(
    source: Source, *, lowercase: bool = True, normalizer: Normalizer | None = None, progress: Progress | None = None
) -> Counter[str]:
    """Counts the normalized words of a source. Above a fixed number of distinct words, the rarest are dropped.

    Args:
        source: The source of the text.
        lowercase: Whether to lower-case the text and strip accents.
        normalizer: The normalizer to use instead of one for `lowercase`.
        progress: A function that is called as the work proceeds (see `Progress`).
    """
    normalizer = normalizer or Normalizer(lowercase)
    counts: Counter[str] = Counter()
    done = 0
    for batch in _batches(source.lines()):
        counts.update(word for line in batch for word in normalizer.words(line))
        if len(counts) > _MOST_WORDS:
            counts = Counter(dict(counts.most_common(_MOST_WORDS // 2)))
        done += sum(len(line.encode("utf-8")) + 1 for line in batch)
        if progress:
            # The total is the size on disk, which the text of compressed files can exceed.
            progress("counting words", min(done, source.size), source.size)
    return counts


def _check_lengths(words: Counter[str], path: str) -> None:
    """Warns about words that are longer than MAX_WORD_LENGTH.

    Raises:
        DataError: All words are longer.
    """
    long = {word: count for word, count in words.items() if len(word) > MAX_WORD_LENGTH}
    if not long:
        return
    said = describe_long_words(sum(long.values()), MAX_WORD_LENGTH, next(iter(long)))
    if len(long) == len(words):
        raise DataError(
            f"expected words of at most {MAX_WORD_LENGTH} characters. All of them are too long: {said}", path
        )
    part = sum(len(word) * count for word, count in long.items()) / sum(len(w) * count for w, count in words.items())
    level = logging.WARNING if part > _MUCH_LONG else logging.INFO
    _LOG.log(level, f"no piece is learnt from {part:.1%} of the text: {said}")


def _batches(lines: Iterator[str], size: int = 4096) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _alphabet(words: Counter[str], coverage: float) -> list[str]:
    """Returns the most frequent characters, which make up `coverage` of the text, and all ASCII characters that occur.

    Ties are broken by code point. ASCII characters are always kept, since a question mark that is rare in one text is
    common in another.
    """
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    ranked = sorted(characters.items(), key=lambda item: (-item[1], item[0]))
    wanted = coverage * sum(characters.values())
    alphabet, covered = [], 0
    for character, count in ranked:
        if covered < wanted or character.isascii():
            alphabet.append(character)
        covered += count
    return alphabet


def _trained_words(words: Counter[str], alphabet: list[str], minimum_frequency: int) -> list[tuple[str, int]]:
    """Returns the words to choose pieces from, sorted, since the order of a counter depends on the order of files."""
    kept = set(alphabet)
    return [
        (word, count)
        for word, count in sorted(words.items())
        if count >= minimum_frequency and len(word) <= MAX_WORD_LENGTH and kept.issuperset(word)
    ]


def _choose_pieces(
    words: list[tuple[str, int]], initial: list[str], size: int, minimum_frequency: int, scale: float
) -> list[str]:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.trainers import WordPieceTrainer

    def lines() -> Iterator[str]:
        # The trainer counts words itself and accepts no counts, so each word is repeated as often as it occurred.
        for word, count in words:
            yield f"{word} " * max(1, round(count * scale))

    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    trainer = WordPieceTrainer(
        vocab_size=size,
        min_frequency=minimum_frequency,
        special_tokens=initial,
        limit_alphabet=0,
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines(), trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)
