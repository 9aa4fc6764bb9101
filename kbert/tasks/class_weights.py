"""Class weights: how much the examples of each class count in the loss, for imbalanced classes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.errors import UsageError, shown

BALANCED = "balanced"


def parse_class_weights(text: str, labels: Sequence[str]) -> dict[str, float]:
    """Parses class weights that a user gives.

    Args:
        text: "LABEL=WEIGHT,LABEL=WEIGHT", or a JSON object, which also allows labels with commas.
        labels: The labels of the task.

    Returns:
        The weight of each label; 1 for labels that are not named.

    Raises:
        UsageError: A label does not exist, or a weight is not a number above 0.
    """
    weights = dict.fromkeys(labels, 1.0)
    for label, value in _pairs(text):
        if label not in weights:
            raise UsageError(f"class_weights must name labels ({', '.join(labels)}). Received: {shown(label)}")
        try:
            weight = float(value)
        except (TypeError, ValueError):
            weight = math.nan
        if not 0 < weight < math.inf or isinstance(value, bool):
            raise UsageError(f"the class weight of {label} must be a number above 0. Received: {shown(value)}")
        weights[label] = weight
    return weights


def _pairs(text: str) -> list[tuple[str, Any]]:
    if text.lstrip().startswith("{"):
        try:
            return list(json.loads(text).items())
        except (ValueError, RecursionError) as problem:
            raise UsageError(
                f"class_weights must be {BALANCED}, LABEL=WEIGHT,LABEL=WEIGHT or a JSON object ({problem})"
            ) from None
    pairs: list[tuple[str, Any]] = []
    for part in text.split(","):
        label, equals, value = part.rpartition("=")
        if not equals:
            raise UsageError(
                f"class_weights must be {BALANCED}, LABEL=WEIGHT,LABEL=WEIGHT or a JSON object. Received: {shown(part)}"
            )
        pairs.append((label.strip(), value.strip()))
    return pairs


def balanced_weights(counts: Mapping[str, int]) -> dict[str, float]:
    """Returns scikit-learn's "balanced" weights, with which all classes contribute equally to the loss.

    The weight of a class is examples / (classes · examples of the class).

    Args:
        counts: The number of examples of each class, at least 1.
    """
    from sklearn.utils.class_weight import compute_class_weight

    classes = np.arange(len(counts))
    weights = compute_class_weight("balanced", classes=classes, y=np.repeat(classes, list(counts.values())))
    return dict(zip(counts, map(float, weights), strict=True))
