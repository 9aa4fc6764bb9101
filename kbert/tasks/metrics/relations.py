"""The scores of relations, as the scorer of SemEval-2010 task 8 computes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

NO_RELATION = ("Other", "no_relation", "NA", "unknown", "None", "none")
"""The usual names of the label of pairs without a relation."""
_DIRECTED = re.compile(r"(?P<name>.+)\((e1,e2|e2,e1)\)")


def usual_no_relation(labels: Sequence[str]) -> str | None:
    """Returns the first label that is a usual name for pairs without a relation; None if there is none.

    Example:
        >>> usual_no_relation(["Cause-Effect(e1,e2)", "Other"])
        'Other'
    """
    return next((name for name in NO_RELATION if name in labels), None)


def relation_scores(
    labels: Sequence[str], true: np.ndarray, predicted: np.ndarray, no_relation: str | None
) -> dict[str, float]:
    """Returns the macro-averaged F1 of the official scorer, and the micro-averaged F1.

    Two labels that differ only in their direction, such as Cause-Effect(e1,e2) and Cause-Effect(e2,e1), are one
    relation in the average. A prediction with the wrong direction is wrong: it counts as a prediction of this relation
    and as a missed example. The label `no_relation` is no relation in the averages; a predicted relation where there is
    none is wrong nevertheless.

    Args:
        labels: The labels.
        true: The index of the true label of each example, int [N].
        predicted: The index of the predicted label of each example, int [N].
        no_relation: The label of pairs without a relation; None if there is none.

    Returns:
        "f1", the mean over the relations that occur among the true or the predicted labels; and "micro_f1".
    """
    names = [match["name"] if (match := _DIRECTED.fullmatch(label)) else label for label in labels]
    relations = sorted({name for name, label in zip(names, labels, strict=True) if label != no_relation})
    group = np.array([relations.index(name) if name in relations else -1 for name in names])
    right = np.bincount(group[true[true == predicted]] + 1, minlength=len(relations) + 1)[1:]
    wanted = np.bincount(group[true] + 1, minlength=len(relations) + 1)[1:]
    found = np.bincount(group[predicted] + 1, minlength=len(relations) + 1)[1:]
    occurs = wanted + found > 0
    f1 = 2 * right[occurs] / (wanted + found)[occurs]
    total = int((wanted + found).sum())
    return {
        "f1": float(f1.mean()) if occurs.any() else 0.0,
        "micro_f1": float(2 * right.sum() / total) if total else 0.0,
    }
