"""The temperature that calibrates the probabilities of a model (temperature scaling, arXiv 1706.04599)."""

from __future__ import annotations

import math

from kbert.tasks.metrics.decisions import Decisions

LEAST, LARGEST = 0.2, 20.0
"""The bounds of temperatures. A model that is always right on a file would otherwise get the temperature 0."""


def fit_temperature(decisions: Decisions) -> float:
    """Returns the temperature whose probabilities have the smallest cross entropy, from LEAST to LARGEST.

    The cross entropy is convex in the reciprocal of the temperature, so it has one minimum.

    Args:
        decisions: The decisions of the model about labelled examples that it was not trained on.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda value: decisions.cross_entropy(math.exp(value)),
        bounds=(math.log(LEAST), math.log(LARGEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(math.exp(found.x))


def is_at_bound(temperature: float) -> bool:
    """Returns whether a fitted temperature is one of the bounds, so that the examples do not determine it."""
    return temperature < LEAST * 1.001 or temperature > LARGEST / 1.001
