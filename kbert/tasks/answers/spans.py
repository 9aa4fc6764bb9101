"""The answers of a model that finds spans in texts, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.readers.lost_spans import visible
from kbert.tasks.readers.tag_schemes import entity_scores
from kbert.tasks.readers.tagged_texts import TaggedText

LETTERS = "OBIES"
"""The letters of tags in all schemes: outside, begin, inside, end and single."""


class FoundSpans(NamedTuple):
    """The N spans of all texts of a batch, in one list."""

    rows: tf.Tensor
    """The index of the text of each span, int32 [N]."""
    starts: tf.Tensor
    """The offset of the first character of each span, int32 [N]."""
    ends: tf.Tensor
    """The offset after the last character of each span, int32 [N]."""
    types: tf.Tensor
    """The index of the type of each span, int32 [N]."""
    scores: tf.Tensor
    """The mean probability of the tags of each span, float32 [N]."""


def found_spans(letters: tf.Tensor, types: tf.Tensor, scores: tf.Tensor, encoded: Tensors) -> FoundSpans:
    """Returns the spans that the tags of words encode; the arguments are those of `served_spans`."""
    rows = encoded["word_rows"]

    # A word continues the entity of the word before if their letters are B or I, then I or E, and the types equal.
    def before(values: tf.Tensor, first: int) -> tf.Tensor:
        return tf.concat([[first], values[:-1]], 0)[: tf.size(values)]

    last, same = before(letters, 0), (before(types, -1) == types) & (before(rows, -1) == rows)
    goes_on = ((last == 1) | (last == 2)) & ((letters == 2) | (letters == 3)) & same
    inside = letters > 0
    begins = inside & ~goes_on
    entity = tf.boolean_mask(tf.cumsum(tf.cast(begins, tf.int32)) - 1, inside)
    return FoundSpans(
        rows=tf.boolean_mask(rows, begins),
        starts=tf.boolean_mask(encoded["word_starts"], begins),
        ends=tf.math.segment_max(tf.boolean_mask(encoded["word_ends"], inside), entity),
        types=tf.boolean_mask(types, begins),
        scores=tf.math.segment_mean(tf.boolean_mask(scores, inside), entity),
    )


def served_spans(
    names: Sequence[str], letters: tf.Tensor, types: tf.Tensor, scores: tf.Tensor, encoded: Tensors, texts: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the spans of each text, in order; N is the largest number of spans in a text of the batch.

    Args:
        names: The types of spans by index.
        letters: The index in LETTERS of the letter of the tag of each word, int32 [W], for the words of all texts.
        types: The index of the type of the tag of each word, int32 [W]; -1 for words outside all spans.
        scores: The probability of the tag of each word, float32 [W].
        encoded: The places of the words, from `TaggingTask.encode`.
        texts: The texts, string [B].

    Returns:
        `count`, the number of spans, int32 [B]; `labels` and `texts`, string [B, N]; `starts` and `ends`, character
        offsets in the text, int32 [B, N]; `scores`, the mean probability of the tags of a span, float32 [B, N].
    """
    entity_rows, starts, ends, found_types, means = found_spans(letters, types, scores, encoded)
    kinds = tf.gather(tf.constant(list(names)), found_types)
    return parts_by_text(texts, entity_rows, starts, ends, labels=kinds, scores=means)


def parts_by_text(
    texts: tf.Tensor, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor, **values: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns parts of texts, such as spans or words, and their values by text.

    Args:
        texts: The texts, string [B].
        rows: The index of the text of each part, int32 [M], in ascending order.
        starts: The offset of the first character of each part, int32 [M].
        ends: The offset after the last character of each part, int32 [M].
        values: Further values of each part by name, [M].

    Returns:
        `count`, the number of parts of each text, int32 [B]; `texts`, the parts, string [B, N], where N is the largest
        number of parts of a text; and `starts`, `ends` and the further values, [B, N].
    """
    whole = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    surfaces = tf.strings.substr(tf.gather(whole, rows), starts, ends - starts, unit="UTF8_CHAR")

    def by_text(each: tf.Tensor) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_value_rowids(each, tf.cast(rows, tf.int64), tf.size(texts, tf.int64))

    found = {"texts": surfaces, "starts": starts, "ends": ends, **values}
    return {
        "count": tf.cast(by_text(starts).row_lengths(), tf.int32),
        **{name: by_text(each).to_tensor() for name, each in found.items()},
    }


def readable_spans(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Converts one row of `served_spans`, as NumPy arrays, to [{"start", "end", "label", "text", "score"}]."""
    return [
        {
            "start": int(row["starts"][place]),
            "end": int(row["ends"][place]),
            "label": row["labels"][place].decode("utf-8"),
            "text": row["texts"][place].decode("utf-8"),
            "score": float(row["scores"][place]),
        }
        for place in range(row["count"])
    ]


def span_scores(examples: Sequence[TaggedText], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns precision, recall and F1 of spans. A span is right if its type, start and end are right.

    Spaces, invisible characters and combining marks at the edges of a span are ignored, since tokens have none.

    Args:
        examples: The texts with their spans.
        answers: The answers of the model, as in `served_spans`.
    """
    true = [
        {(span.label, *visible(example.text, span.start, span.end)) for span in example.spans or ()}
        for example in examples
    ]
    predicted = [
        {
            (answers["labels"][row][place].decode("utf-8"), *visible(examples[row].text, int(start), int(end)))
            for place, (start, end) in enumerate(zip(answers["starts"][row], answers["ends"][row], strict=True))
            if place < count
        }
        for row, count in enumerate(answers["count"])
    ]
    scores, per_type = entity_scores(true, predicted)
    return {"examples": len(examples), **scores, "per_class": per_type}
