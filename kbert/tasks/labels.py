"""Names of classes: their order, and how config.json has them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any


def sorted_labels(labels: Collection[str]) -> list[str]:
    """Labels in the order of the logits: as numbers if all are, else as text."""
    try:
        numbers = {label: float(label) for label in labels}
    except ValueError:
        return sorted(labels)
    # "nan" has no place among numbers.
    finite = all(map(math.isfinite, numbers.values()))
    return sorted(labels, key=lambda label: (numbers[label], label) if finite else (0.0, label))


def label_names(labels: Sequence[str]) -> dict[str, Any]:
    """Transformers' keys of config.json for labels in the order of the logits."""
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }
