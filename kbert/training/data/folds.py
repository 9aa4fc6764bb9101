"""Splits of the training examples into training and validation examples.

StratifiedGroupKFold of scikit-learn is not used for three reasons: it balances classes but not the sizes of folds, it
has no split of a single part, and its folds may change between versions, while a resumed run needs the same split.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from kbert.errors import UsageError

Group = Callable[[Any], Hashable | None]
"""A function that returns the group of an example (for instance its dialogue), or None. A group is never split between
training and validation.
"""


def split_fold(
    examples: Sequence[Any], fold: tuple[int, int], *, seed: int, group: Group = lambda _: None
) -> tuple[list[Any], list[Any]]:
    """Splits examples into training examples and those of one of K folds, both in the order of the file.

    If examples have a `target`, the folds are stratified: examples with the same target are distributed evenly. All
    folds of the same examples and seed are disjoint, and their sizes differ by at most one group or ungrouped example.

    Args:
        examples: The examples.
        fold: The number of the fold, counted from 0, and the number of folds.
        seed: Seeds the distribution of examples over folds.
        group: A function that returns the group of an example, which is not split.

    Returns:
        The training examples, and the examples of the fold.

    Raises:
        UsageError: The number of folds or the number of the fold is invalid.
    """
    number, folds = fold
    dealt = _dealt(examples, seed, group)
    if not 2 <= folds <= len(dealt):
        groups = f", which are {len(dealt)} groups that belong together" if len(dealt) < len(examples) else ""
        raise UsageError(
            f"folds must be from 2 to the {len(examples)} training examples{groups}. Received: folds={folds}"
        )
    if not 0 <= number < folds:
        raise UsageError(f"the fold must be from 0 to {folds - 1}. Received: {number}")
    return _sides(examples, dealt[number::folds])


def split_part(
    examples: Sequence[Any], part: float, *, seed: int, group: Group = lambda _: None
) -> tuple[list[Any], list[Any]]:
    """Splits examples into training and validation examples, both in the order of the file and stratified by target.

    Args:
        examples: The examples.
        part: The fraction of the examples that is held out for validation. If examples have groups, it is the fraction
            of the groups, and at least one group is held out.
        seed: Seeds the split.
        group: A function that returns the group of an example, which is not split.

    Returns:
        The training examples, and the validation examples.

    Raises:
        UsageError: One of the two sides would be empty.
    """
    dealt = _dealt(examples, seed, group)
    count = round(len(dealt) * part)
    if len(dealt) < len(examples) and 0 < part < 1:
        count = min(max(count, 1), len(dealt) - 1)
    if not 0 < count < len(dealt):
        raise UsageError(
            f"--validation-split must leave examples on both sides. Received: {part} of {len(examples)} examples"
        )
    return _sides(examples, [dealt[(2 * number + 1) * len(dealt) // (2 * count)] for number in range(count)])


def _dealt(examples: Sequence[Any], seed: int, group: Group) -> list[list[int]]:
    """Returns the indices of the examples of each group, shuffled and then ordered by the target of the group."""
    groups: dict[Hashable, list[int]] = {}
    for index, example in enumerate(examples):
        name = group(example)
        groups.setdefault(("alone", index) if name is None else ("together", name), []).append(index)
    # If all examples belong to one group, such as the questions on one text, the group has to be split.
    units = list(groups.values()) if len(groups) > 1 else [[index] for index in range(len(examples))]
    strata: dict[str, list[list[int]]] = {}
    for unit in np.random.default_rng(seed).permutation(len(units)).tolist():
        target = json.dumps(getattr(examples[units[unit][0]], "target", None), default=str)
        strata.setdefault(target, []).append(units[unit])
    # Targets that only one unit has, such as most numbers and texts, give no strata: their order would not be random.
    dealt = [unit for target in sorted(strata) if len(strata[target]) > 1 for unit in strata[target]]
    return dealt + [units[0] for units in strata.values() if len(units) == 1]


def _sides(examples: Sequence[Any], held_out: Sequence[Sequence[int]]) -> tuple[list[Any], list[Any]]:
    chosen = {index for unit in held_out for index in unit}
    sides: tuple[list[Any], list[Any]] = [], []
    for index, example in enumerate(examples):
        sides[index in chosen].append(example)
    return sides
