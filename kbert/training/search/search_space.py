"""The search space of a hyper-parameter search: ranges and lists of values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from kbert.errors import UsageError

SEARCHED = ("learning_rate", "batch_size", "weight_decay", "warmup_proportion")
"""The options that are searched by default."""
_SPAN = 4.0
"""The factor between the default learning rate and either end of the range that is searched."""


def default_space(learning_rate: float) -> dict[str, str]:
    """Returns the range or the values for each of SEARCHED, based on the BERT paper (appendix A.3).

    Args:
        learning_rate: The default learning rate of the model (kbert.training.defaults).
    """
    return {
        "learning_rate": f"{learning_rate / _SPAN:.2g}:{learning_rate * _SPAN:.2g}",
        "batch_size": "16,32",
        "weight_decay": "0,0.01,0.1",
        "warmup_proportion": "0,0.06,0.1",
    }


_WHOLE = ("batch_size", "sequence_length", "accumulation", "frozen_layers")
_LOGARITHMIC = ("learning_rate",)
_REAL = ("learning_rate", "epochs", "weight_decay", "warmup_proportion", "layer_decay", "dropout")


@dataclasses.dataclass(frozen=True)
class Range:
    """A range of numbers from `low` to `high`, both included.

    Args:
        low: The smallest number.
        high: The largest number.
        whole: Whether the range has whole numbers only.
        logarithmic: Whether numbers are drawn uniformly on a logarithmic scale.
    """

    low: float
    high: float
    whole: bool = False
    logarithmic: bool = False


def parse_space(over: Mapping[str, str]) -> dict[str, Range | list[float | int]]:
    """Parses the text for each option: "LOW:HIGH" is a range, and "A,B,C" is a list of values.

    Raises:
        UsageError: An option cannot be searched over, or its text is invalid.
    """
    if not over:
        raise UsageError("there is nothing to search over: every setting is fixed")
    return {name: _values(name, text) for name, text in over.items()}


def _values(name: str, text: str) -> Range | list[float | int]:
    if name not in (*_WHOLE, *_REAL):
        raise UsageError(f"a search may be over {', '.join((*_REAL, *_WHOLE))}. Received: {name!r}")
    kind = int if name in _WHOLE else float
    try:
        if ":" in text:
            low, high = map(kind, text.split(":"))
            logarithmic = name in _LOGARITHMIC
            if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not logarithmic)):
                raise ValueError
            return Range(low, high, kind is int, logarithmic)
        choices = [kind(value) for value in text.split(",")]
        if len(set(choices)) < len(choices) or not all(map(math.isfinite, choices)):
            raise ValueError
        return choices
    except ValueError:
        numbers = "whole numbers" if kind is int else "numbers"
        raise UsageError(
            f"{name} must be searched over LOW:HIGH or A,B,C, {numbers}, LOW below HIGH. Received: {text!r}"
        ) from None
