"""Examines a sample of a text before a build: marks that normalization strips, long words, Chinese characters."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from kbert.errors import KbertError, cut
from kbert.sources.source import Source
from kbert.text.normalization import Normalizer
from kbert.text.replacement_table import is_cjk
from kbert.text.settings import TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary_statistics import script_of

_SAMPLED = 1 << 18
"""The number of characters in a sample, over all parts of a source."""
_PARTS = 16
"""The maximum number of files in a sample, evenly spaced over all files."""
_IGNORED_SCRIPTS = ("Greek", "Hangul", "other", "number")
"""Scripts whose marks are accents, which uncased models strip on purpose, or which lose no marks."""
_LOST_IN_SCRIPT = 0.01
_LOST_IN_LATIN = 0.15
_LOST_IN_TEXT = 0.001
"""A message names a script if at least this fraction of its characters lose a mark (_LOST_IN_LATIN for Latin), and
these are at least the fraction _LOST_IN_TEXT of all characters of the sample.

Uncased models strip the accents of European languages on purpose. The limit for Latin is above their rates and below
that of Vietnamese, in which accents distinguish words.
"""
_SHOWN = 20
"""The number of characters of a word that messages show."""
_LOG = logging.getLogger("kbert")
_WORD = re.compile(r"\S+")


@dataclasses.dataclass
class TextSample:
    """The findings in a sample of a text.

    Args:
        characters: The number of characters, without white space.
        ideographs: The number of Chinese characters among them.
        lost_marks: The number of characters that lose a mark when they are normalized, by script.
        examples: A word that loses a mark, before and after normalization, by script.
        long_word: The first word that is longer than the tokenizer's limit; None if there is none.
    """

    characters: int = 0
    ideographs: int = 0
    lost_marks: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    long_word: str | None = None

    @property
    def chinese(self) -> float:
        """The fraction of characters that are Chinese, 0 to 1."""
        return self.ideographs / max(1, self.characters)

    def describe_lost_marks(self) -> str:
        """Returns the scripts that lose marks with examples, such as "Thai ('ที่' becomes 'ท')"; "" if there are none."""
        return ", ".join(
            f"{script} ({cut(word, _SHOWN)!r} becomes {cut(left, _SHOWN)!r})" if word else script
            for script, (word, left) in self.examples.items()
        )

    def without_words(self) -> TextSample:
        """Returns the findings without the words of the text, for messages that must not show them."""
        return dataclasses.replace(self, examples=dict.fromkeys(self.examples, ("", "")), long_word=None)


def sample_text(source: Source, tokenizer: Tokenizer | Normalizer, *, max_word_length: int) -> TextSample:
    """Examines lines from the beginnings of some parts of a source.

    Unreadable parts are skipped, since the build itself will report them.

    Args:
        source: The source of the text.
        tokenizer: The tokenizer or normalizer that normalizes the text.
        max_word_length: The length in characters of the longest word that is not [UNK].
    """
    normalizer = tokenizer.normalizer if isinstance(tokenizer, Tokenizer) else tokenizer
    lines = list(some_lines(source))
    counts = Counter(character for line in lines for character in line if not character.isspace())
    sample = TextSample(
        characters=counts.total(), ideographs=sum(n for character, n in counts.items() if is_cjk(ord(character)))
    )
    if normalizer.table.strip_accents:
        _find_lost_marks(sample, counts, lines, normalizer)
    for line in lines:
        if len(line) > max_word_length:
            sample.long_word = next((w for w in normalizer.words(line) if len(w) > max_word_length), None)
            if sample.long_word is not None:
                break
    return sample


def tell_lost_marks(sample: TextSample, settings: TokenizerSettings) -> None:
    """Warns if the text loses vowel signs or other marks with its accents."""
    lost = sample.describe_lost_marks()
    if lost:
        case = "lower-casing" if settings.strip_accents is None else "--strip-accents"
        _LOG.warning(
            f"{case} strips accents, and with them vowel signs and other marks of {lost}; add --keep-accents to keep "
            "them, to `kbert vocab train` and `kbert corpus build` alike"
        )


def describe_long_words(count: int, longest: int, example: str | None) -> str:
    """Returns a message about words that are longer than a tokenizer's limit, with advice.

    Args:
        count: The number of occurrences of such words.
        longest: The limit in characters.
        example: One of the words, if known.
    """
    shown = f", such as '{example[:_SHOWN]}…' with {len(example):,} characters" if example else ""
    return (
        f"{count:,} {'word is' if count == 1 else 'words are'} longer than {longest} characters{shown}. A word ends at "
        "white space or punctuation; put spaces between the words of a script that is written without them"
    )


def some_lines(source: Source) -> Iterator[str]:
    """Yields lines from the beginnings of some parts of a source. Unreadable parts are skipped, duplicates are kept."""
    step = -(-len(source.parts) // _PARTS)
    parts = source.parts[::step]
    for part in parts:
        one = copy.copy(source)
        one.parts = [part]
        # A search for duplicates would read the whole part.
        one.settings = one.settings.replace(deduplicate="none")
        left = _SAMPLED // len(parts)
        with contextlib.suppress(KbertError, OSError):
            for line in one.lines():
                yield line[:left]
                left -= len(line)
                if left <= 0:
                    break


def _find_lost_marks(sample: TextSample, counts: Counter[str], lines: Iterable[str], normalizer: Normalizer) -> None:
    all_characters: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    losing: dict[str, set[str]] = {}
    for character, count in counts.items():
        script = _script(character)
        if script in _IGNORED_SCRIPTS:
            continue
        all_characters[script] += count
        if _loses_mark(character):
            lost[script] += count
            losing.setdefault(script, set()).add(character)
    for script, count in lost.most_common():
        least = _LOST_IN_LATIN if script == "Latin" else _LOST_IN_SCRIPT
        if count < least * all_characters[script] or count < _LOST_IN_TEXT * sample.characters:
            continue
        sample.lost_marks[script] = count
        word = next(w for line in lines for w in _WORD.findall(line) if not losing[script].isdisjoint(w))
        sample.examples[script] = word, word.translate(normalizer.table).replace(" ", "")


def _loses_mark(character: str) -> bool:
    return any(unicodedata.category(c) == "Mn" for c in unicodedata.normalize("NFD", character))


def _script(character: str) -> str:
    """Returns the script of a letter or mark according to its Unicode name; "other" for marks of no single script."""
    if unicodedata.category(character) != "Mn":
        return script_of(character)
    first, *others = unicodedata.name(character, "COMBINING").split()
    if first == "COMBINING":
        return "Katakana" if others[:1] == ["KATAKANA-HIRAGANA"] else "other"
    return first.capitalize()
