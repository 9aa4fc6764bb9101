"""Replaces personal data in texts, and counts what was replaced."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kbert.text.personal_data.catalogue import DETECTORS
from kbert.text.personal_data.replacement import Replace, placeholder


@dataclasses.dataclass(frozen=True)
class Found:
    """Personal data in a text.

    Args:
        start: The place of its first character.
        end: The place after its last character.
        kind: The name of its kind, such as "email".
    """

    start: int
    end: int
    kind: str


class Masker:
    """Finds personal data in texts, and replaces it.

    Args:
        detectors: The names of the detectors to use; the default is all of `DETECTORS`.
        replace: Returns the replacement of a value.

    Example:
        >>> masker = Masker()
        >>> masker.masked("Write to ann@example.org, or call +49 30 1234567.")
        'Write to [EMAIL], or call [PHONE].'
        >>> masker.counts
        Counter({'email': 1, 'phone': 1})
    """

    def __init__(self, detectors: Sequence[str] = (), replace: Replace = placeholder) -> None:
        self._detectors = [each for name, each in DETECTORS.items() if not detectors or name in detectors]
        self._replace = replace
        self.counts: Counter[str] = Counter()
        """The number of replaced values of each kind so far."""

    def found(self, text: str, others: Iterable[Found] = ()) -> list[Found]:
        """Returns the personal data in a text, from left to right, without overlaps.

        Args:
            text: The text.
            others: Data that was found in other ways, such as by a model. Its parts outside the data that the detectors
                find are added.
        """
        found: list[Found] = []
        rest = text
        for detector in self._detectors:
            if detector.hint.search(rest):
                new = [Found(start, end, detector.name) for start, end in detector.find(rest)]
                for each in new:  # so that the next detectors neither find it nor take it for a part of a longer number
                    rest = rest[: each.start] + "\0" * (each.end - each.start) + rest[each.end :]
                found += new
        for other in others:
            found += _outside(text, other, sorted(found, key=lambda each: each.start))
        return sorted(found, key=lambda each: each.start)

    def masked(self, text: str, others: Iterable[Found] = ()) -> str:
        """Returns a text with the personal data replaced, and counts what was replaced.

        Args:
            text: The text.
            others: Data that was found in other ways; see `found`.
        """
        parts, done = [], 0
        for each in self.found(text, others):
            value = text[each.start : each.end]
            detector = DETECTORS.get(each.kind)
            canonical = detector.canonical(value) if detector else " ".join(value.casefold().split())
            parts += [text[done : each.start], self._replace(each.kind, canonical)]
            done = each.end
            self.counts[each.kind] += 1
        return "".join(parts) + text[done:] if parts else text


def describe_counts(counts: Mapping[str, int]) -> str:
    """Returns the number of replaced values of each kind in words.

    Example:
        >>> describe_counts({"email": 2, "phone": 1}), describe_counts({})
        ('personal data replaced: 2 email, 1 phone', 'personal data replaced: none')
    """
    said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    return f"personal data replaced: {said or 'none'}"


def _outside(text: str, other: Found, found: Sequence[Found]) -> list[Found]:
    """Returns the parts of `other` that no element of `found` covers, as far as they contain a letter or digit."""
    parts, start = [], other.start
    for each in found:
        if each.end > start and each.start < other.end:
            parts.append((start, each.start))
            start = each.end
    parts.append((start, other.end))
    kept = []
    for start, end in parts:
        piece = text[start:end]
        if any(map(str.isalnum, piece)):
            kept.append(
                Found(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip()), other.kind)
            )
    return kept
