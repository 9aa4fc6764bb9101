"""Checks before an export is written that it gives the same answers as the model that it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from kbert.errors import ParityError
from kbert.tasks.protocol.answering import TextInput
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

_LITERT_TOLERANCES = {"none": 1e-4, "float16": 2e-2, "dynamic": 0.25, "int8": 0.5, "int4": 2.0}
"""The largest allowed difference of a probability, or of a logit divided by the largest logit.

Weights in int8 and int4 change single probabilities of random words a lot, so the check can only refuse a wrong graph.
For int8 and int4 the same graph in float32 is checked first.
"""


def check_parity(
    expected: Mapping[str, np.ndarray], received: Mapping[str, np.ndarray], *, tolerance: float, what: str
) -> float:
    """Compares two sets of answers.

    Args:
        expected: The answers of the model, by name.
        received: The answers of the export, by name.
        tolerance: The largest difference of two numbers that is allowed; texts must be equal.
        what: The name of the export in the message.

    Returns:
        The largest difference.

    Raises:
        ParityError: The answers differ.
    """
    largest = 0.0
    for name, wanted in expected.items():
        given = received.get(name)
        if given is None or given.shape != wanted.shape:
            shape = None if given is None else given.shape
            raise ParityError(
                f"{what}: the output {name} must have the shape {wanted.shape}. Received: {shape}; nothing was written"
            )
        if wanted.dtype.kind == "f":
            difference = float(np.abs(wanted - given).max(initial=0.0))
            if not difference <= tolerance:
                raise ParityError(
                    f"{what}: {name} must differ from that of the model by at most {tolerance:g}. Received: a "
                    f"difference of {difference:.2g}; nothing was written"
                )
            largest = max(largest, difference)
        elif not np.array_equal(wanted, given):
            raise ParityError(f"{what}: {name} must equal that of the model. Received: another; nothing was written")
    return largest


def check_litert_parity(
    expected: Mapping[str, np.ndarray],
    received: Mapping[str, np.ndarray],
    mask: np.ndarray,
    *,
    quantize: str,
    what: str,
) -> None:
    """Compares the answers of a LiteRT model at tokens; differences of logits are parts of the largest logit.

    Args:
        expected: The answers of the model, by name.
        received: The answers of the LiteRT model, by name.
        mask: 1 for tokens and 0 for padding, int32 [B, S].
        quantize: The weights of the LiteRT model: "none", "float16", "dynamic", "int8" or "int4".
        what: The name of the export in the message.

    Raises:
        ParityError: The answers differ.
    """
    scales = {name: max(1.0, float(np.abs(values).max(initial=0.0))) for name, values in expected.items()}
    compared = [
        {name: _without_padding(answers[name], mask) / scales[name] for name in scales if name in answers}
        for answers in (expected, received)
    ]
    check_parity(*compared, tolerance=_LITERT_TOLERANCES[quantize], what=what)


def _without_padding(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns an output with zeros at padding, if it has a value for each token: padding has no answers.

    Args:
        values: An output, [B, ...] or [B, S, ...].
        mask: 1 for tokens and 0 for padding, int32 [B, S].
    """
    if values.shape[:2] != mask.shape:
        return values
    return np.where(mask.reshape(*mask.shape, *[1] * (values.ndim - 2)) == 1, values, 0)


def sample_texts(vocabulary: Vocabulary, count: int = 16, longest: int = 200) -> list[str]:
    """Returns texts for a check: an empty one, one with unusual characters, and texts of words of the vocabulary.

    The texts are always the same for a vocabulary.

    Args:
        vocabulary: The vocabulary.
        count: The number of texts of words. Their lengths grow geometrically.
        longest: The number of words of the longest text.
    """
    words = [token for token in vocabulary if token not in SPECIAL_TOKENS and not token.startswith("##")] or ["a"]
    rng = np.random.default_rng(0)
    lengths = np.geomspace(1, longest, count).astype(int)
    texts = [" ".join(rng.choice(words, length)) for length in lengths]
    return ["", "Ünïcödé, ΣΊΣΥΦΟΣ 中文 👍 \u200b", *texts]


def sample_spans(texts: Sequence[str], *, last: bool) -> np.ndarray:
    """Returns the first or the last word of each text as a span, int32 [B, 2]; an empty text has an empty span.

    Args:
        texts: The texts, whose words are separated by single spaces.
        last: Whether the spans are the last words.
    """
    if last:
        return np.array([[text.rfind(" ") + 1, len(text)] for text in texts], np.int32)
    return np.array([[0, len(text.partition(" ")[0])] for text in texts], np.int32)


def sample_inputs(texts: Sequence[TextInput], vocabulary: Vocabulary, longest: int = 200) -> dict[str, tf.Tensor]:
    """Returns strings for the text inputs of a task, by name; see `sample_texts`.

    Args:
        texts: The text inputs of the task.
        vocabulary: The vocabulary.
        longest: The number of words of the longest text.

    Returns:
        A tensor for each input: string [B], or [B, 3] for an input that is a list; int32 [B, 2] for spans.
    """
    samples = sample_texts(vocabulary, longest=longest)
    inputs = {}
    for place, text in enumerate(texts):
        if text.is_span:
            inputs[text.name] = tf.constant(sample_spans(samples, last=bool(place % 2)))
            continue
        # Every second input has the reverse order, so that short texts are paired with long ones.
        rows = samples[::-1] if place % 2 else samples
        lists = [[row, rows[index - 1], rows[index - 2]] for index, row in enumerate(rows)]
        inputs[text.name] = tf.constant(lists if text.is_list else rows)
    return inputs
