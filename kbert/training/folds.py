"""Parts of the training rows that take turns as validation rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from kbert.errors import UsageError


def split_fold(examples: Sequence[Any], fold: tuple[int, int], *, seed: int) -> tuple[list[Any], list[Any]]:
    """Splits examples into those to learn from and those of one of K folds, in the order of the file.

    Where examples have a `target`, those with the same one are dealt out evenly (stratified). All folds of the same
    examples and seed are disjoint, and their sizes differ by one at most.

    Args:
        examples: All of them.
        fold: (its number from 0, how many folds there are).
        seed: Of the dealing.

    Raises:
        UsageError: There cannot be as many folds, or there is no fold of that number.
    """
    number, folds = fold
    if not 2 <= folds <= len(examples):
        raise UsageError(f"folds must be from 2 to the {len(examples)} training examples. Received: folds={folds}")
    if not 0 <= number < folds:
        raise UsageError(f"the fold must be from 0 to {folds - 1}. Received: {number}")
    dealt = _by_target(examples, seed)
    return _sides(examples, dealt[number::folds])


def split_part(examples: Sequence[Any], part: float, *, seed: int) -> tuple[list[Any], list[Any]]:
    """Examples to learn from, and a `part` of them that is held out, stratified as folds are; in the order of the file.

    Raises:
        UsageError: One side would be empty.
    """
    count = round(len(examples) * part)
    if not 0 < count < len(examples):
        raise UsageError(
            f"--validation-split must leave examples on both sides. Received: {part} of {len(examples)} examples"
        )
    dealt = _by_target(examples, seed)
    return _sides(examples, [dealt[(2 * number + 1) * len(dealt) // (2 * count)] for number in range(count)])


def _by_target(examples: Sequence[Any], seed: int) -> list[int]:
    """The places of all examples: those with the same target behind each other, shuffled."""
    strata: dict[str, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(examples)).tolist():
        target = json.dumps(getattr(examples[index], "target", None), default=str)
        strata.setdefault(target, []).append(index)
    return [index for target in sorted(strata) for index in strata[target]]


def _sides(examples: Sequence[Any], held_out: Sequence[int]) -> tuple[list[Any], list[Any]]:
    chosen = set(held_out)
    sides: tuple[list[Any], list[Any]] = [], []
    for index, example in enumerate(examples):
        sides[index in chosen].append(example)
    return sides
