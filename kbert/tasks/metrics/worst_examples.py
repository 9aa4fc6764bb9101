"""The examples that a model does worst on, for people who look for the reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

WORST_EXAMPLES = "worst_examples"
"""Their name among a task's metrics."""
WORST = 20
_LONGEST = 300


def worst_examples(
    examples: Sequence[Any], badness: np.ndarray, describe: Callable[[int], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The examples with the largest `badness` above 0, worst first.

    Args:
        examples: Dataclasses; what they say but their target is kept, long texts cut.
        badness: Of each example, [N].
        describe: Gives what was expected and what was answered, by the index of an example; JSON.

    Returns:
        At most WORST dicts: "line", the texts, and what `describe` gives.
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
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return [_cut(part) for part in value]
