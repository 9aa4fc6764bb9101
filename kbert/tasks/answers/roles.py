"""The answers of a model of semantic roles, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.tasks.metrics.semantic_roles import joined_arguments, predicate_scores, role_counts
from kbert.tasks.readers.lost_spans import visible
from kbert.tasks.readers.predicates import Predicate, RolesText
from kbert.tasks.readers.tagged_texts import Span

_EXCLUDED = ("V", "C-V")
"""The roles that are parts of the predicate, which the scores leave out."""

_Places = tuple[int, int]


def answered_predicates(row: Mapping[str, np.ndarray], *, with_senses: bool) -> list[Predicate]:
    """Converts one row of `SemanticRolesTask.served_answers`, as NumPy arrays, to predicates.

    Args:
        row: The arrays.
        with_senses: Whether the model knows senses.
    """
    found = []
    for place in range(int(row["count"])):
        roles = tuple(
            Span(
                int(row["role_starts"][place, number]),
                int(row["role_ends"][place, number]),
                row["roles"][place, number].decode("utf-8"),
            )
            for number in range(int(row["role_counts"][place]))
        )
        sense = row["senses"][place].decode("utf-8") if with_senses else None
        found.append(Predicate(int(row["starts"][place]), int(row["ends"][place]), sense, roles))
    return found


def role_scores(
    examples: Sequence[RolesText], answers: Mapping[str, np.ndarray], *, with_senses: bool
) -> dict[str, Any]:
    """Returns the scores of roles, predicates and senses.

    "precision", "recall" and "f1" are those of arguments from text alone; arguments of a predicate that the file does
    not have are wrong. "f1_srl_eval" leaves such predicates out, as srl-eval.pl does. The scores with the ending
    "_given", and "perfect_given", the share of predicates whose arguments are all right, are those of arguments of the
    predicates of the file. "predicate_f1" and so on are those of predicates; "sense_accuracy_given" is the share of
    predicates of the file with the right sense, and "sense_accuracy" the same among the predicates that were found. All
    spans must be the same; a span C-X is a part of the argument X.

    Args:
        examples: The texts with their predicates.
        answers: The answers of the model to all texts, and then to all texts with their predicates given.
        with_senses: Whether the model knows senses.
    """
    true = [_arguments(example, example.predicates or ()) for example in examples]
    found, given = (
        [
            answered_predicates(
                {name: values[first + row] for name, values in answers.items()}, with_senses=with_senses
            )
            for row in range(len(examples))
        ]
        for first in (0, len(examples))
    )
    predicted = [_arguments(example, each) for example, each in zip(examples, found, strict=True)]
    with_given = [_arguments(example, each) for example, each in zip(examples, given, strict=True)]
    of_given = role_counts(true, with_given, skip_excess=True)
    scores = {
        "examples": len(examples),
        "predicates": of_given.predicates,
        **role_counts(true, predicted, skip_excess=False).scores(),
        **role_counts(true, predicted, skip_excess=True).scores("_srl_eval"),
        **of_given.scores("_given"),
        "perfect_given": of_given.perfect / max(1, of_given.predicates),
        **predicate_scores(true, predicted),
    }
    if with_senses:
        scores["sense_accuracy"] = _sense_accuracy(examples, found, among_found=True)
        scores["sense_accuracy_given"] = _sense_accuracy(examples, given, among_found=False)
    return {**scores, "per_class": of_given.by_role()}


def _arguments(example: RolesText, predicates: Sequence[Predicate]) -> dict[_Places, Any]:
    """Returns the arguments of predicates by the places of the predicates, without what no token holds at the edges."""
    return {
        visible(example.text, each.start, each.end): joined_arguments(
            [
                (role.label, *visible(example.text, role.start, role.end))
                for role in each.roles
                if role.label not in _EXCLUDED
            ]
        )
        for each in predicates
    }


def _sense_accuracy(
    examples: Sequence[RolesText], predicted: Sequence[Sequence[Predicate]], *, among_found: bool
) -> float:
    """Returns the share of the predicates of the file with a sense that have it in the predictions."""
    right = asked = 0
    for example, predicates in zip(examples, predicted, strict=True):
        senses = {visible(example.text, each.start, each.end): each.sense for each in predicates}
        for each in example.predicates or ():
            place = visible(example.text, each.start, each.end)
            if each.sense and (place in senses or not among_found):
                asked += 1
                right += senses.get(place) == each.sense
    return right / asked if asked else 0.0
