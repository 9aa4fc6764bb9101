"""Texts with predicates and their roles, and the checks of their places."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from kbert.tasks.readers.tagged_texts import Span


@dataclasses.dataclass(frozen=True)
class Predicate:
    """A predicate of a text, with its roles.

    Args:
        start: The offset of its first character.
        end: The offset after its last character.
        sense: Its sense, such as "give.01"; None if it is unknown.
        roles: The spans of its roles. The label is the role, such as "ARG0". C-X continues the role X before it.
    """

    start: int
    end: int
    sense: str | None = None
    roles: tuple[Span, ...] = ()


@dataclasses.dataclass(frozen=True)
class RolesText:
    """A text and its predicates.

    Args:
        text: The text.
        predicates: The predicates, in the order of their places; None if they are unknown.
        line: The 1-based line where the text starts; 0 for none.
    """

    text: str
    predicates: tuple[Predicate, ...] | None = None
    line: int = 0


def checked_text(text: str, predicates: Sequence[Predicate], line: int) -> RolesText:
    """Returns a text with its predicates in the order of their places, and their roles in order.

    Raises:
        ValueError: A span is outside the text; two predicates, or two roles of a predicate, overlap.
    """
    ordered = []
    for predicate in sorted(predicates, key=lambda each: (each.start, each.end)):
        _check_span(text, predicate.start, predicate.end, "predicate")
        for role in predicate.roles:
            _check_span(text, role.start, role.end, role.label)
        roles = tuple(sorted(predicate.roles, key=lambda each: (each.start, each.end)))
        word = text[predicate.start : predicate.end]
        _check_apart(roles, lambda role: role.label, f"roles of {word!r:.40} that do not overlap")
        ordered.append(dataclasses.replace(predicate, roles=roles))
    _check_apart(ordered, lambda each: text[each.start : each.end], "predicates that do not overlap")
    return RolesText(text, tuple(ordered), line)


def _check_span(text: str, start: int, end: int, what: str) -> None:
    if not 0 <= start < end <= len(text):
        raise ValueError(f"expected {what} inside the text, of {len(text)} characters. Received: from {start} to {end}")


def _check_apart(spans: Sequence[Any], name: Callable[[Any], str], expected: str) -> None:
    for before, after in itertools.pairwise(spans):
        if after.start < before.end:
            raise ValueError(
                f"expected {expected}. Received: {name(before)} from {before.start} to {before.end}, and {name(after)} "
                f"from {after.start} to {after.end}"
            )
