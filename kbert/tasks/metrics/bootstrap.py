"""Confidence intervals of metrics by the bootstrap: the metric of many resampled sets of examples (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

LEVEL = 0.95
"""The confidence level of the intervals."""
_MOST_SAMPLES, _LEAST_SAMPLES = 200, 50
_MOST_EXAMPLES = 400_000
"""The number of examples of all samples together, which bounds the time; large files also vary less."""
_LARGEST_SET = 20_000
"""The number of examples above which there is no interval. It would be narrow, and take long."""

Measure = Callable[[Sequence[Any], Mapping[str, np.ndarray]], float]
"""A function that returns the metric of examples and of the answers to them."""


def bootstrap_interval(
    measure: Measure, examples: Sequence[Any], answers: Mapping[str, np.ndarray], *, seed: int = 0
) -> tuple[float, float] | None:
    """Returns the 95 % confidence interval of a metric: percentiles over sets that are drawn with replacement.

    The interval tells how much the metric would vary with other examples of the same kind. It does not contain the
    variation between training runs.

    Args:
        measure: The metric.
        examples: The examples.
        answers: Arrays of answers by name. Their first dimension is that of the examples.
        seed: Seeds the draws.

    Returns:
        The lower and the upper bound; None if there are less than two or more than 20,000 examples, not one answer for
            each example, or if all samples have the same value, for instance because all answers are right. Then the
            bootstrap knows nothing about the variation.

    Example:
        >>> examples, answers = [1] * 100, {"right": np.arange(100) < 80}
        >>> low, high = bootstrap_interval(lambda _, drawn: drawn["right"].mean(), examples, answers)
        >>> 0.65 < low < 0.8 < high < 0.95
        True
    """
    count = len(examples)
    if not 2 <= count <= _LARGEST_SET or any(len(values) != count for values in answers.values()):
        return None
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(int(np.clip(_MOST_EXAMPLES // count, _LEAST_SAMPLES, _MOST_SAMPLES))):
        drawn = generator.integers(0, count, count)
        resampled = {name: np.asarray(each)[drawn] for name, each in answers.items()}
        values.append(measure([examples[index] for index in drawn], resampled))
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(values, [tail, 100 - tail])
    return (float(low), float(high)) if low < high else None
