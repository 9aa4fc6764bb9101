"""What the outputs of a task mean, and thus how a student learns them from a teacher."""

from __future__ import annotations

import dataclasses

CLASSES = "classes"
"""Logits of exclusive classes, of each item [B, C] or of each token [B, S, C]."""
LABELS = "labels"
"""Logits of independent labels, of each item [B, C] or of each token [B, S, C]."""
PLACES = "places"
"""A logit for each token, of which one is right, [B, S]."""
CANDIDATES = "candidates"
"""A logit for each row of an item, of which the best is wanted, [B, K]."""
NUMBER = "number"
"""A number, [B, 1]."""
VECTORS = "vectors"
"""A vector for each row, [B, H] or [B, K, H]. Teacher and student may have different sizes of vectors."""


@dataclasses.dataclass(frozen=True)
class SoftOutput:
    """The meaning of a raw output of a model.

    Args:
        kind: One of the constants of this module.
        scale: The unit of a NUMBER, such as the standard deviation of the training targets.
    """

    kind: str
    scale: float = 1.0
