"""The check that every export passes before it is written: the same answers as the bundle it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from kbert.errors import ParityError
from kbert.tasks.answering import TextInput
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


def check_parity(
    expected: Mapping[str, np.ndarray], received: Mapping[str, np.ndarray], *, tolerance: float, what: str
) -> float:
    """Compares two sets of answers.

    Args:
        expected: What the bundle answers.
        received: What the export answers.
        tolerance: Largest difference of a number; text must be equal.
        what: The export, for the message.

    Returns:
        The largest difference.

    Raises:
        ParityError: They differ.
    """
    largest = 0.0
    for name, wanted in expected.items():
        given = received.get(name)
        if given is None or given.shape != wanted.shape:
            shape = None if given is None else given.shape
            raise ParityError(f"{what}: the output {name} must have the shape {wanted.shape}. Received: {shape}")
        if wanted.dtype.kind == "f":
            difference = float(np.abs(wanted - given).max(initial=0.0))
            if not difference <= tolerance:
                raise ParityError(
                    f"{what}: {name} differs from the bundle's by {difference:.2g}, more than {tolerance:g}; "
                    "nothing was written"
                )
            largest = max(largest, difference)
        elif not np.array_equal(wanted, given):
            raise ParityError(f"{what}: {name} differs from the bundle's; nothing was written")
    return largest


def sample_texts(vocabulary: Vocabulary, count: int = 16, longest: int = 200) -> list[str]:
    """Texts of words of a vocabulary, of many lengths, with some that no vocabulary knows; always the same."""
    words = [token for token in vocabulary if token not in SPECIAL_TOKENS and not token.startswith("##")] or ["a"]
    rng = np.random.default_rng(0)
    lengths = np.geomspace(1, longest, count).astype(int)
    texts = [" ".join(rng.choice(words, length)) for length in lengths]
    return ["", "Ünïcödé, ΣΊΣΥΦΟΣ 中文 👍 \u200b", *texts]


def sample_inputs(texts: Sequence[TextInput], vocabulary: Vocabulary, longest: int = 200) -> dict[str, tf.Tensor]:
    """Tensors of strings for the texts that a task is asked with; always the same."""
    samples = sample_texts(vocabulary, longest=longest)
    inputs = {}
    for place, text in enumerate(texts):
        # Each input in another order, so that short ones meet long ones.
        rows = samples[::-1] if place % 2 else samples
        several = [[row, rows[index - 1], rows[index - 2]] for index, row in enumerate(rows)]
        inputs[text.name] = tf.constant(several if text.is_list else rows)
    return inputs
