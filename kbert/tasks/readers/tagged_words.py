"""Sentences of words with tags, which CoNLL files, tables of words and lists of words are read as."""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from kbert.errors import DataError
from kbert.files import PathLike
from kbert.tasks.readers.tag_schemes import OUTSIDE
from kbert.text.replacement_table import is_cjk

ONLY_TYPE = "entity"
"""The type of tags that are only letters, such as B and I."""
_LETTERS = frozenset("BIESMLU")
MARKS = "-_.:/"
"""The characters between the letter of a tag and its type."""
_LETTER_FIRST = re.compile(rf"[BIESMLU][{MARKS}].+")
_LETTER_LAST = re.compile(rf"(?![BIESMLU]-).+[{MARKS}][BIESMLU]")
_ANY_CASE = re.compile(rf"[BIESMLUbiesmlu][{MARKS}].+|[BIESMLUbiesmlu]|(?![biesmlu]-).+[{MARKS}][biesmlu]")
_SMALL_BEGIN = re.compile(rf"b[{MARKS}].+|b|(?![biesmlu]-).+[{MARKS}]b")
_BEGIN = re.compile(rf"[Bb]([{MARKS}].+)?")
_OUTSIDE_MARKS = ("_", "-", "0")
_OUTSIDE_WORDS = (*_OUTSIDE_MARKS, "out", "outside", "other", "none", "null", "nan", "na")
"""Tags that some programs give to words outside all spans. The words count only beside tags with letters."""
_LOG = logging.getLogger("kbert")


@dataclasses.dataclass(frozen=True)
class Sentence:
    """The words of a sentence with their tags.

    Args:
        words: The words.
        tags: The tag of each word.
        lines: The 1-based line of each word.
    """

    words: list[str]
    tags: list[str]
    lines: list[int]


def with_usual_outside(sentences: Sequence[Sentence], path: PathLike) -> list[Sentence]:
    """Returns the sentences with O as the tag of words outside all spans, if the file marks such words in another way.

    The tag is another one if the file has no O, and either "_", "-" or "0" is the most frequent tag; or all tags but
    one have the letters of a scheme, as B-PER has, and that one is the most frequent, or a name such as "none".

    Args:
        sentences: All sentences of a file.
        path: The file, for messages.
    """
    counts = Counter(tag for sentence in sentences for tag in sentence.tags)
    outside = _other_outside(counts)
    if outside is None:
        return list(sentences)
    _tell_outside(str(path), outside)
    return _replaced(sentences, {outside: OUTSIDE})


def _other_outside(counts: Counter[str]) -> str | None:
    """Returns the tag of words outside all spans, given the number of each tag; None if it is O or unknown."""
    if len(counts) < 2 or OUTSIDE in counts or OUTSIDE.lower() in counts:
        return None
    usual, _ = counts.most_common(1)[0]
    bare = [tag for tag in counts if not _ANY_CASE.fullmatch(tag)]
    if len(bare) == 1 and any(_BEGIN.fullmatch(tag) for tag in counts):
        return bare[0] if bare[0] == usual or bare[0].lower() in _OUTSIDE_WORDS else None
    return usual if usual in _OUTSIDE_MARKS else None


@functools.lru_cache(maxsize=1024)  # a file is read several times, but the message is needed once
def _tell_outside(path: str, tag: str) -> None:
    _LOG.info("%s: words with the tag %r are outside all spans (--tag-scheme words learns it as a tag)", path, tag)


def with_usual_tags(sentences: Sequence[Sentence], path: PathLike) -> list[Sentence]:
    """Returns the sentences with tags in the usual spelling: "O", "B-PER" or "PER".

    Three other spellings are converted if all tags of the file have them; otherwise such a tag is a type. Tags that are
    only letters, as in word segmentation, get the type `ONLY_TYPE`. B_PER or B.PER becomes B-PER. Letters in lower case
    become capitals (b-per, o).

    Args:
        sentences: All sentences of a file.
        path: The file, for messages.

    Raises:
        DataError: All tags have the letter last (PER-B). Read as types, they would be learnt wrongly.
    """
    sentences = _with_capital_letters(sentences)
    tags = {tag for sentence in sentences for tag in sentence.tags} - {OUTSIDE}
    if not tags:
        return list(sentences)
    usual: Callable[[str], str]
    if all(tag in _LETTERS for tag in tags):
        usual = f"{{}}-{ONLY_TYPE}".format
    elif all(_LETTER_FIRST.fullmatch(tag) for tag in tags) and any(tag[0] in "BI" for tag in tags):
        usual = _hyphened
    elif all(_LETTER_LAST.fullmatch(tag) for tag in tags) and any(tag[-1] == "B" for tag in tags):
        line, tag = next(
            (line, tag)
            for sentence in sentences
            for line, tag in zip(sentence.lines, sentence.tags, strict=True)
            if tag != OUTSIDE
        )
        problem = f"expected tags with the letter first, such as {tag[-1]}-{tag[:-2]}. Received {tag!r}"
        raise DataError(problem, path, line)
    else:
        return list(sentences)
    return _replaced(sentences, {tag: usual(tag) for tag in tags})


def _with_capital_letters(sentences: Sequence[Sentence]) -> Sequence[Sentence]:
    """Returns the sentences with the letters of the scheme in capitals: "b-per" → "B-per", and "o" → "O"."""
    tags = {tag for sentence in sentences for tag in sentence.tags}
    others = tags - {OUTSIDE, "o"}
    of_scheme = all(_ANY_CASE.fullmatch(tag) for tag in others)
    small_outside = "o" in tags and (of_scheme or OUTSIDE not in tags)
    table = {"o": OUTSIDE} if small_outside else {}
    if of_scheme and (small_outside or any(_SMALL_BEGIN.fullmatch(tag) for tag in others)):
        table |= {tag: _capital(tag) for tag in others}
    return _replaced(sentences, table) if table else sentences


def _capital(tag: str) -> str:
    if len(tag) == 1 or tag[1] in MARKS:
        return tag[0].upper() + tag[1:]
    return tag[:-1] + tag[-1].upper()


def _hyphened(tag: str) -> str:
    return f"{tag[0]}-{tag[2:]}"


def _replaced(sentences: Sequence[Sentence], table: dict[str, str]) -> list[Sentence]:
    return [dataclasses.replace(each, tags=[table.get(tag, tag) for tag in each.tags]) for each in sentences]


def join_words(words: Sequence[str]) -> str:
    """Joins words to a text, with a space between two words unless both are ideographs there.

    Example:
        >>> join_words(["in", "北", "京"])
        'in 北京'
    """
    return "".join(space + word for space, word in spaced(words))


def spaced(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields each word that is not empty, preceded by the space before it: " " or ""."""
    before = ""
    for word in words:
        if not word:
            continue
        close = not before or (is_cjk(ord(before[-1])) and is_cjk(ord(word[0])))
        yield "" if close else " ", word
        before = word


def word_places(words: Sequence[str]) -> tuple[str, list[int], list[int]]:
    """Returns the text of words, and the start and end offsets of the words in it."""
    starts, ends = [], []
    text = ""
    for space, word in spaced(words):
        text += space
        starts.append(len(text))
        text += word
        ends.append(len(text))
    return text, starts, ends


def tags_of_words(words: Iterable[tuple[int, int]], spans: Iterable[tuple[int, int, str]]) -> list[str]:
    """Returns the tag of each word in IOB2. A word has the tag of the first span that it overlaps.

    Args:
        words: The (start, end) of each word, in order.
        spans: The (start, end, label) of each span, in order.

    Example:
        >>> tags_of_words([(0, 3), (4, 8)], [(0, 8, "PER")])
        ['B-PER', 'I-PER']
    """
    spans = list(spans)
    tags = []
    before = None
    for start, end in words:
        found = next((span for span in spans if span[0] < end and span[1] > start), None)
        letter = "I" if found is not None and found == before else "B"
        tags.append("O" if found is None else f"{letter}-{found[2]}")
        before = found
    return tags
