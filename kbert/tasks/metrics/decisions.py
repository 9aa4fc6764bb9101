"""The decisions of a model with their probabilities, from which a temperature is fitted and confidence is measured."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

_LEAST = float(np.finfo(np.float32).tiny)
"""The least probability whose logarithm is computed; smaller ones are 0 in float32."""
_BELOW_ONE = 1 - float(np.finfo(np.float32).epsneg) / 2
"""A probability that float32 rounds to 1. The logit of 1 itself is infinite."""


@dataclasses.dataclass(frozen=True)
class Decisions:
    """The decisions that a model made about labelled examples.

    Args:
        given: The probabilities of the classes, [N, C]; 0 for choices that an example does not have.
        targets: For exclusive classes, the index of the true class of each example, int [N]. For labels that do not
            exclude each other, whether each example has each label, bool [N, C].
    """

    given: np.ndarray
    targets: np.ndarray

    @property
    def exclusive(self) -> bool:
        """Whether each example has exactly one of the classes."""
        return self.targets.ndim == 1

    @functools.cached_property
    def logits(self) -> np.ndarray:
        """The logits, float64 [N, C]; of exclusive classes up to a constant, and -inf for choices with probability 0.

        A true class has a finite logit, even if float32 rounds its probability to 0.
        """
        if not self.exclusive:
            return logits_of(self.given)
        values = np.asarray(self.given, np.float64).copy()
        rows = np.arange(len(values))
        values[rows, self.targets] = np.maximum(values[rows, self.targets], _LEAST)
        with np.errstate(divide="ignore"):
            logits: np.ndarray = np.log(values)
        return logits

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """Returns the probabilities if all logits are divided by a temperature, [N, C]."""
        if temperature == 1:
            return np.asarray(self.given)
        scaled = self.logits / temperature
        if not self.exclusive:
            return probabilities_of(scaled)
        weights = np.exp(scaled - scaled.max(-1, keepdims=True))
        found: np.ndarray = weights / weights.sum(-1, keepdims=True)
        return found

    def cross_entropy(self, temperature: float = 1.0) -> float:
        """Returns the mean negative log probability of what is true, in nats, if logits are divided by a temperature.

        The mean is over the examples, and for labels that do not exclude each other also over the labels.
        """
        scaled = self.logits / temperature
        if not self.exclusive:
            # The softplus of the logit, with the sign of the wrong answer.
            return float(np.logaddexp(0.0, np.where(self.targets, -scaled, scaled)).mean())
        largest = scaled.max(-1)
        total = largest + np.log(np.exp(scaled - largest[:, None]).sum(-1))
        return float((total - scaled[np.arange(len(scaled)), self.targets]).mean())

    def confidences(self, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Returns probabilities, and whether what they are probabilities of is true.

        For exclusive classes these are the probabilities of the likeliest classes, [N], and whether these are the true
        ones, bool [N]. For other labels, they are the probabilities of all labels, [N * C], and whether the examples
        have them, bool [N * C].
        """
        probabilities = self.probabilities(temperature)
        if not self.exclusive:
            return probabilities.ravel(), self.targets.ravel()
        best = probabilities.argmax(-1)
        return probabilities[np.arange(len(best)), best], best == self.targets


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """Returns the logit of each probability, float64; finite also for 0 and 1, to which float32 rounds."""
    values = np.clip(np.asarray(probabilities, np.float64), _LEAST, _BELOW_ONE)
    logits: np.ndarray = np.log(values) - np.log1p(-values)
    return logits


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Returns the probability of each logit, float64."""
    probabilities: np.ndarray = np.exp(-np.logaddexp(0.0, -np.asarray(logits, np.float64)))
    return probabilities
