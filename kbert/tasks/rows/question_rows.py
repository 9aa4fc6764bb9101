"""The questions before the windows of a context, and the lengths of answers in tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from kbert.tasks.protocol.training_rows import strings
from kbert.tasks.readers.question_answering import Question
from kbert.text.graph.encoder import GraphEncoder


def cut_questions(encode: GraphEncoder, questions: tf.Tensor, most: int) -> tf.Tensor:
    """Returns the questions, string [B], cut after their first `most` tokens."""
    _, _, ends = encode.tokenizer.with_offsets(questions)
    limits = tf.reduce_max(tf.concat([tf.zeros_like(ends[:, :1]), ends[:, :most]], 1), axis=1)
    limits = tf.maximum(limits, 0)  # the maximum over no tokens is the least integer
    text = tf.strings.unicode_transcode(questions, "UTF-8", "UTF-8")
    cut = tf.strings.substr(text, tf.zeros_like(limits), limits, unit="UTF8_CHAR")
    return tf.where(ends.row_lengths() > most, cut, questions)


def answer_lengths(examples: Sequence[Question], encode: GraphEncoder) -> np.ndarray:
    """Returns the length in tokens of the first answer to each question that has an answer, int64 [N]."""
    answers = [example.answers[0].text for example in examples if example.answers]
    return encode.tokenizer(strings(answers)).row_lengths().numpy() if answers else np.zeros(0, np.int64)
