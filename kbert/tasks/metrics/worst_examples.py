"""The examples with a model's worst answers, for error analysis."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kbert.errors import cut

WORST_EXAMPLES = "worst_examples"
"""The key of the worst examples among a task's metrics."""
WORST = 20
_LONGEST = 300


def worst_examples(
    examples: Sequence[Any], badness: np.ndarray, describe: Callable[[int], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Returns the examples with the largest `badness` above 0, worst first.

    Args:
        examples: The examples, which are dataclasses with `line` and `target`.
        badness: A number for each example, [N]; larger is worse, and 0 is a right answer.
        describe: Returns the expected and the predicted answer of an example by its index, as JSON values.

    Returns:
        At most WORST dicts. Each has "line", the other fields of the example except its target (long texts are cut),
        and the values of `describe`.
    """
    order = np.argsort(-np.asarray(badness), kind="stable")[:WORST]
    return [_texts(examples[index]) | describe(int(index)) for index in order if badness[index] > 0]


def _texts(example: Any) -> dict[str, Any]:
    values = {field.name: getattr(example, field.name) for field in dataclasses.fields(example)}
    line = {"line": values.pop("line")}
    del values["target"]
    return line | {name: _cut(value) for name, value in values.items() if value is not None}


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return cut(value, _LONGEST)
    if isinstance(value, int):
        return value
    return [_cut(part) for part in value]
