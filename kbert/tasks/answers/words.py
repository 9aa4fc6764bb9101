"""The answers of a model that gives each word a tag of its own, and their scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.tasks.answers.spans import parts_by_text
from kbert.tasks.metrics.class_scores import scores_by_class
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.readers.tagged_texts import TaggedText
from kbert.tasks.readers.word_tags import NO_TAG, predicted_tags


def served_words(
    names: Sequence[str], tags: tf.Tensor, scores: tf.Tensor, encoded: Tensors, texts: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the words of each text with their tags, in order; N is the largest number of words in a text.

    Args:
        names: The tags by index.
        tags: The index of the tag of each word, int32 [W], for the words of all texts.
        scores: The probability of each of these tags, float32 [W].
        encoded: The places of the words, from `TaggingTask.encode`.
        texts: The texts, string [B].

    Returns:
        `count`, the number of words, int32 [B]; `tags` and `texts`, string [B, N]; `starts` and `ends`, character
        offsets in the text, int32 [B, N]; `scores`, float32 [B, N].
    """
    rows, starts, ends = encoded["word_rows"], encoded["word_starts"], encoded["word_ends"]
    return parts_by_text(texts, rows, starts, ends, tags=tf.gather(tf.constant(list(names)), tags), scores=scores)


def readable_words(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Converts one row of `served_words`, as NumPy arrays, to [{"text", "start", "end", "tag", "score"}]."""
    return [
        {
            "text": row["texts"][place].decode("utf-8"),
            "start": int(row["starts"][place]),
            "end": int(row["ends"][place]),
            "tag": row["tags"][place].decode("utf-8"),
            "score": float(row["scores"][place]),
        }
        for place in range(row["count"])
    ]


def given_words(example: TaggedText, predicted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the given words of a text in the form of `readable_words`, each with its one tag.

    A word that the tokenizer drops, such as a control character, has the tag `NO_TAG` and the score 0.

    Args:
        example: The text, with the places of its words.
        predicted: The words of the tokenizer, from `readable_words`.
    """
    starts = [word["start"] for word in predicted]
    indices = predicted_tags(example.words, starts, range(len(predicted)))
    return [
        {
            "text": example.text[start:end],
            "start": start,
            "end": end,
            "tag": NO_TAG if index < 0 else predicted[index]["tag"],
            "score": 0.0 if index < 0 else predicted[index]["score"],
        }
        for (start, end), index in zip(example.words, indices, strict=True)
    ]


def most_frequent_tag(examples: Sequence[TaggedText]) -> str:
    """Returns the tag that most words of the examples have."""
    tags = Counter(tag for example in examples for tag in example.tags or () if tag != NO_TAG)
    return tags.most_common(1)[0][0]


def constant_words(tag: str, examples: Sequence[TaggedText]) -> dict[str, np.ndarray]:
    """Returns the answers, in the form that `word_scores` takes, of a model that gives each given word the same tag."""
    counts = np.array([len(example.words) for example in examples])
    starts = np.zeros((len(examples), max(counts, default=0)), np.int64)
    for row, example in enumerate(examples):
        starts[row, : counts[row]] = [start for start, _ in example.words]
    return {"count": counts, "starts": starts, "tags": np.full(starts.shape, tag.encode(), object)}


def word_scores(
    names: Sequence[str], examples: Sequence[TaggedText], answers: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Returns the metrics of tags of words.

    These are the accuracy over words, the macro-averaged F1 over the tags that occur, the scores of each tag, and the
    confusion matrix (rows true, columns predicted). Words without a tag in the file are left out. A word that the
    tokenizer drops counts as wrong.

    Args:
        names: The tags by index.
        examples: The texts with the tags of their words.
        answers: The answers of the model, as in `served_words`.
    """
    ids = {name: index for index, name in enumerate(names)}
    # Rows are true tags, and columns predicted ones. The last column is for words without a prediction.
    matrix = np.zeros((len(names), len(names) + 1), np.int64)
    for row, example in enumerate(examples):
        count = int(answers["count"][row])
        starts, tags = answers["starts"][row, :count].tolist(), answers["tags"][row, :count]
        predicted = predicted_tags(example.words, starts, [ids[tag.decode("utf-8")] for tag in tags])
        for tag, index in zip(example.tags or (), predicted, strict=True):
            if tag != NO_TAG:
                matrix[ids[tag], index] += 1
    right, found, support = matrix.diagonal(), matrix[:, :-1].sum(0), matrix.sum(1)
    f1 = 2 * right / np.maximum(found + support, 1)
    occurs = found + support > 0
    return {
        "examples": len(examples),
        "words": int(support.sum()),
        "accuracy": float(right.sum() / max(1, support.sum())),
        "macro_f1": float(f1[occurs].mean()) if occurs.any() else 0.0,
        "per_class": scores_by_class(names, right / np.maximum(found, 1), right / np.maximum(support, 1), f1, support),
        "labels": list(names),
        "confusion_matrix": matrix[:, :-1].tolist(),
    }
