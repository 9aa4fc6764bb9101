"""Spans that a tagger cannot learn: those that begin or end within a word, and those that overlap a longer one."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence

from kbert.files import PathLike
from kbert.tasks.readers.span_exports import offset_reader
from kbert.tasks.readers.tagged_texts import Span, TaggedText
from kbert.text.replacement_table import is_cjk, is_punctuation


@dataclasses.dataclass(frozen=True)
class LostSpans:
    """The number of spans in a file that cannot be learnt.

    Args:
        total: The number of all spans.
        within_words: The number of spans that begin or end within a word, or have no visible character.
        overlapping: The number of spans that overlap a longer span.
        first_line: The 1-based line of the first span that cannot be learnt; 0 if it is unknown.
        utf_16: Whether the offsets look like units of UTF-16.
    """

    total: int
    within_words: int
    overlapping: int
    first_line: int
    utf_16: bool

    def message(self, path: PathLike) -> str:
        """Returns the warning about the spans of this file."""
        reasons = []
        if self.within_words:
            reasons.append(f"{self.within_words:,} begin or end within a word")
        if self.overlapping:
            reasons.append(f"{self.overlapping:,} overlap a longer span")
        where = f" (first: {path}:{self.first_line})" if self.first_line else ""
        lost = self.within_words + self.overlapping
        hint = "; the offsets look like units of UTF-16: --offsets utf-16 reads them" if self.utf_16 else ""
        return f"{lost:,} of {self.total:,} spans cannot be learnt{where}: {' and '.join(reasons)}{hint}"


def lost_spans(examples: Sequence[TaggedText]) -> LostSpans | None:
    """Counts the spans that no prediction can equal; returns None if there are none.

    Words are those of BERT's tokenizer: white space, punctuation marks and ideographs end them.
    """
    within = overlapping = first_line = total = wide = helped = 0
    for example in examples:
        spans = example.spans or ()
        kept = list(without_overlaps(spans))
        total += len(spans)
        cut = [span for span in kept if not _is_whole(example.text, span.start, span.end)]
        lost = len(cut) + len(spans) - len(kept)
        if lost and not first_line:
            first_line = example.line
        within += len(cut)
        overlapping += len(spans) - len(kept)
        if cut and any(ord(character) > 0xFFFF for character in example.text):
            characters = offset_reader(example.text, "utf-16")
            wide += len(cut)
            helped += sum(_is_whole(example.text, characters(span.start), characters(span.end)) for span in cut)
    if not within + overlapping:
        return None
    return LostSpans(total, within, overlapping, first_line, bool(wide) and helped * 2 > wide)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Returns whether a span begins and ends where words do."""
    if not 0 <= start < end <= len(text):
        return False
    first, last = visible(text, start, end)
    if all(_is_dropped(character) for character in text[first:last]):
        return False
    return _is_edge(text, first) and _is_edge(text, last)


def _is_edge(text: str, place: int) -> bool:
    """Returns whether a word ends before the character at this place, or begins with it."""
    before, after = place - 1, place
    # Characters that the tokenizer drops do not split a word, except white space.
    while before >= 0 and _is_dropped(text[before]) and not text[before].isspace():
        before -= 1
    while after < len(text) and _is_dropped(text[after]) and not text[after].isspace():
        after += 1
    return before < 0 or after >= len(text) or _ends_words(text[before]) or _ends_words(text[after])


def _ends_words(character: str) -> bool:
    return character.isspace() or is_punctuation(character) or is_cjk(ord(character))


def visible(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the span without the characters at its start and end that BERT's tokenizer drops.

    These are white space, control characters and, with the option that strips accents, combining marks. A span of such
    characters alone is returned unchanged.
    """
    first, last = start, end
    while last > first and _is_dropped(text[last - 1]):
        last -= 1
    while first < last and _is_dropped(text[first]):
        first += 1
    return (first, last) if first < last else (start, end)


def _is_dropped(character: str) -> bool:
    return character.isspace() or character == "\ufffd" or unicodedata.category(character) in ("Mn", "Cc", "Cf")


def without_overlaps(spans: Sequence[Span]) -> list[Span]:
    """Returns the spans in the order of their starts. Of spans that overlap, only the longest is kept."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)
