"""The settings of the decoding of generated texts."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from kbert.errors import UsageError

_LARGEST_SEED = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How the tokens of an answer are chosen.

    Without `beams` and `temperature`, each token is the likeliest one (greedy decoding). With `beams`, several
    beginnings of an answer are continued side by side. With `temperature`, tokens are drawn at random.

    Args:
        max_target: The largest number of tokens of an answer; None for half of the sequence length.
        min_target: The smallest number of tokens of an answer.
        beams: The number of beginnings that are continued side by side.
        answers: The number of answers to a text, best first.
        length_penalty: The exponent α of ((5 + n) / 6)^α, by which the log probability of an answer of n tokens,
            including its end, is divided. A larger α favours longer answers.
        no_repeat: The length of the n-grams of tokens that an answer has at most once; 0 allows all repetitions.
        temperature: The divisor of the logits from which tokens are drawn; None draws none.
        top_k: The number of likeliest tokens that are drawn from; 0 for all.
        top_p: The smallest set of likeliest tokens with at least this probability is drawn from.
        seed: The seed of the draws.

    Raises:
        UsageError: A value is out of range, or values contradict each other.
    """

    max_target: int | None = None
    min_target: int = 0
    beams: int = 1
    answers: int = 1
    length_penalty: float = 0.6
    no_repeat: int = 0
    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"max_target": 1, "min_target": 0, "beams": 1, "answers": 1, "no_repeat": 0, "top_k": 0, "seed": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is None and name == "max_target":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= _LARGEST_SEED:
                raise UsageError(f"{name} must be a whole number of at least {minimum}. Received: {name}={value!r}")
        _check_number("length_penalty", self.length_penalty, lambda value: value >= 0, "of at least 0")
        _check_number("top_p", self.top_p, lambda value: 0 < value <= 1, "above 0 and at most 1")
        if self.temperature is not None:
            _check_number("temperature", self.temperature, lambda value: value > 0, "above 0")
        if self.max_target is not None and self.min_target > self.max_target:
            raise UsageError(
                f"min_target must be at most max_target, which is {self.max_target}. Received: "
                f"min_target={self.min_target}"
            )
        if self.temperature is None and (self.top_k or self.top_p < 1):
            raise UsageError("top_k and top_p are for tokens that are drawn: give a temperature, such as 1")
        if self.temperature is not None and self.beams > 1:
            raise UsageError(
                f"beams and temperature contradict each other; leave one out. Received: beams={self.beams}, "
                f"temperature={self.temperature:g}"
            )
        if self.temperature is None and self.answers > self.beams:
            raise UsageError(
                f"several answers need at least as many beams, or a temperature. Received: answers={self.answers}, "
                f"beams={self.beams}"
            )

    def with_changes(self, changes: dict[str, Any]) -> Decoding:
        """Returns a copy with some values changed.

        A `temperature` replaces the beams of a model, and `beams` replace its temperature, top_k and top_p.

        Raises:
            UsageError: The new values are invalid, or have a seed although no tokens are drawn.
        """
        changed = dict(changes)
        if "temperature" in changed:
            changed.setdefault("beams", 1)
        elif changed.get("beams", 1) > 1:
            changed |= {name: default for name, default in _NO_DRAWS.items() if name not in changed}
        found = dataclasses.replace(self, **changed)
        if "seed" in changes and found.temperature is None:
            raise UsageError(
                f"seed is for tokens that are drawn: give a temperature, such as 1. Received: seed={found.seed}"
            )
        return found

    def longest(self, sequence_length: int) -> int:
        """Returns the largest number of tokens of an answer.

        Args:
            sequence_length: The longest row of a source and an answer in tokens.

        Raises:
            UsageError: Such an answer leaves no room for a token of the source.
        """
        room = sequence_length - SHORTEST_SOURCE
        if room < 1:
            raise UsageError(
                f"the generation of texts needs a sequence length of at least {SHORTEST_SOURCE + 1}. Received: "
                f"{sequence_length}"
            )
        if self.max_target is None:
            return min(room, sequence_length // 2)
        if self.max_target > room:
            raise UsageError(
                f"max_target must leave room for a source in the {sequence_length} tokens of a row: it can be at most "
                f"{room}. Received: max_target={self.max_target}; lower it, or raise the sequence length"
            )
        return self.max_target


SHORTEST_SOURCE = 5
"""The least number of tokens for a source, [CLS] and [SEP] included, in a row with the longest answer."""
_NO_DRAWS = {"temperature": None, "top_k": 0, "top_p": 1.0}


def _check_number(name: str, value: Any, valid: Any, words: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or not valid(value):
        raise UsageError(f"{name} must be a number {words}. Received: {name}={value!r}")
