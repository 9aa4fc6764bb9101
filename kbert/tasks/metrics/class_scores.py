"""The scores of each class, in the form of the metric "per_class"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def scores_by_class(
    names: Sequence[str], precision: np.ndarray, recall: np.ndarray, f1: np.ndarray, support: np.ndarray
) -> dict[str, dict[str, float]]:
    """Returns {name: {"precision", "recall", "f1", "support"}}.

    Args:
        names: The names of the C classes.
        precision: The precision of each class, [C].
        recall: The recall of each class, [C].
        f1: The F1 score of each class, [C].
        support: The number of examples of each class, [C].
    """
    return {
        name: {
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "support": int(support[index]),
        }
        for index, name in enumerate(names)
    }
