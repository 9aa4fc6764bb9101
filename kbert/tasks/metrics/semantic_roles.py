"""The scores of semantic roles, as the scorer of CoNLL-2005 (srl-eval.pl) computes them, and those of predicates."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

VERB = "V"
"""The role of the predicate itself, which is no argument."""
_CONTINUES = "C-"

Piece = tuple[str, int, int]
"""A role, and the places of one of its spans."""
Argument = tuple[str, tuple[tuple[int, int], ...]]
"""A role, and the places of all its spans."""


def joined_arguments(pieces: Collection[Piece]) -> frozenset[Argument]:
    """Returns the arguments of a predicate, given their spans.

    A span C-X continues the argument X that begins before it most recently. Without such an argument, it is an X.

    Args:
        pieces: The spans of the roles, in any order.

    Example:
        >>> sorted(joined_arguments([("ARG1", 0, 4), ("ARG0", 5, 6), ("C-ARG1", 9, 12)]))
        [('ARG0', ((5, 6),)), ('ARG1', ((0, 4), (9, 12)))]
    """
    found: list[tuple[str, list[tuple[int, int]]]] = []
    latest: dict[str, list[tuple[int, int]]] = {}
    for role, start, end in sorted(pieces, key=lambda piece: piece[1:]):
        name = role.removeprefix(_CONTINUES)
        if role.startswith(_CONTINUES) and name in latest:
            latest[name].append((start, end))
            continue
        spans = [(start, end)]
        latest[name] = spans
        found.append((name, spans))
    return frozenset((role, tuple(spans)) for role, spans in found if role != VERB)


@dataclasses.dataclass
class RoleCounts:
    """The numbers of arguments that are right, too many and missing."""

    right: Counter[str] = dataclasses.field(default_factory=Counter)
    excess: Counter[str] = dataclasses.field(default_factory=Counter)
    missed: Counter[str] = dataclasses.field(default_factory=Counter)
    predicates: int = 0
    perfect: int = 0

    def add(self, true: Collection[Argument], predicted: Collection[Argument]) -> None:
        """Counts the arguments of a predicate of the file."""
        wanted, found = set(true), set(predicted)
        self.right.update(role for role, _ in wanted & found)
        self.excess.update(role for role, _ in found - wanted)
        self.missed.update(role for role, _ in wanted - found)
        self.predicates += 1
        self.perfect += wanted == found

    def add_excess(self, predicted: Collection[Argument]) -> None:
        """Counts the arguments of a predicate that is not in the file."""
        self.excess.update(role for role, _ in predicted)

    def scores(self, ending: str = "") -> dict[str, float]:
        """Returns "precision", "recall" and "f1" over all arguments, with this ending after each name."""
        totals = (sum(each.values()) for each in (self.right, self.excess, self.missed))
        return {f"{name}{ending}": value for name, value in _scores(*totals).items()}

    def by_role(self) -> dict[str, dict[str, float]]:
        """Returns precision, recall, F1 and support of each role."""
        roles = sorted({*self.right, *self.excess, *self.missed})
        return {
            role: {
                **_scores(self.right[role], self.excess[role], self.missed[role]),
                "support": self.right[role] + self.missed[role],
            }
            for role in roles
        }


def role_counts(
    true: Sequence[Mapping[tuple[int, int], Collection[Argument]]],
    predicted: Sequence[Mapping[tuple[int, int], Collection[Argument]]],
    *,
    skip_excess: bool,
) -> RoleCounts:
    """Counts the arguments of texts.

    Args:
        true: For each text, the arguments of each predicate by the places of the predicate.
        predicted: The predictions in the same form. The arguments of a missing predicate are all missed.
        skip_excess: Whether predicates that are not in the file are left out, as srl-eval.pl does; otherwise their
            arguments are wrong.
    """
    counts = RoleCounts()
    for wanted, found in zip(true, predicted, strict=True):
        for places, arguments in wanted.items():
            counts.add(arguments, found.get(places, ()))
        for places, arguments in found.items():
            if places not in wanted and not skip_excess:
                counts.add_excess(arguments)
    return counts


def predicate_scores(
    true: Sequence[Collection[tuple[int, int]]], predicted: Sequence[Collection[tuple[int, int]]]
) -> dict[str, float]:
    """Returns "predicate_precision", "predicate_recall" and "predicate_f1"; a predicate is right if its places are."""
    right = excess = missed = 0
    for wanted, found in zip(true, predicted, strict=True):
        right += len(set(wanted) & set(found))
        excess += len(set(found) - set(wanted))
        missed += len(set(wanted) - set(found))
    return {f"predicate_{name}": value for name, value in _scores(right, excess, missed).items()}


def _scores(right: int, excess: int, missed: int) -> dict[str, float]:
    return {
        "precision": right / (right + excess) if right else 0.0,
        "recall": right / (right + missed) if right else 0.0,
        "f1": 2 * right / (2 * right + excess + missed) if right else 0.0,
    }
