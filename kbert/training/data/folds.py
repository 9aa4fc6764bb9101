"""Parts of the training rows that take turns as validation rows.

StratifiedGroupKFold of scikit-learn is not used: it balances classes but not the sizes of folds, it has no split of one
part, and its folds may change with its version, while a run that is resumed needs the same split.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from kbert.errors import UsageError

Group = Callable[[Any], Hashable | None]
"""What an example belongs to, such as its dialogue: what belongs together is not parted. None: to nothing."""


def split_fold(
    examples: Sequence[Any], fold: tuple[int, int], *, seed: int, group: Group = lambda _: None
) -> tuple[list[Any], list[Any]]:
    """Splits examples into those to learn from and those of one of K folds, in the order of the file.

    Where examples have a `target`, those with the same one are dealt out evenly (stratified). All folds of the same
    examples and seed are disjoint, and their sizes differ by one group, or ungrouped example, at most.

    Args:
        examples: All of them.
        fold: (its number from 0, how many folds there are).
        seed: Of the dealing.
        group: What must stay on one side.

    Raises:
        UsageError: There cannot be as many folds, or there is no fold of that number.
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
    """Examples to learn from, and a `part` of them that is held out, stratified as folds are; in the order of the file.

    Of groups it is a part of the groups, and one at least.

    Raises:
        UsageError: One side would be empty.
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
    """The places of the examples of each group: groups with the same target behind each other, shuffled."""
    groups: dict[Hashable, list[int]] = {}
    for index, example in enumerate(examples):
        name = group(example)
        groups.setdefault(("alone", index) if name is None else ("together", name), []).append(index)
    # Questions on one text, and nothing else: parted they are better than not at all.
    units = list(groups.values()) if len(groups) > 1 else [[index] for index in range(len(examples))]
    strata: dict[str, list[list[int]]] = {}
    for unit in np.random.default_rng(seed).permutation(len(units)).tolist():
        target = json.dumps(getattr(examples[units[unit][0]], "target", None), default=str)
        strata.setdefault(target, []).append(units[unit])
    return [unit for target in sorted(strata) for unit in strata[target]]


def _sides(examples: Sequence[Any], held_out: Sequence[Sequence[int]]) -> tuple[list[Any], list[Any]]:
    chosen = {index for unit in held_out for index in unit}
    sides: tuple[list[Any], list[Any]] = [], []
    for index, example in enumerate(examples):
        sides[index in chosen].append(example)
    return sides
