"""The answers of a model that finds answers in contexts, the threshold of "no answer", and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.layers.heads import MASKED_LOGIT
from kbert.tasks.answers.context_spans import best_spans
from kbert.tasks.metrics import question_answering as metrics
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.readers.question_answering import Question


def served_context_answers(
    outputs: Tensors, encoded: Tensors, *, longest: int, most: int, null_threshold: float | None
) -> dict[str, tf.Tensor]:
    """Returns the answer to each question and the N best answers; see `QuestionAnsweringTask.served_answers`.

    Args:
        outputs: The outputs of the model, `start_logits` and `end_logits`, float32 [W, S] each.
        encoded: The windows, from `QuestionAnsweringTask.encode`.
        longest: The length of the longest answer in tokens.
        most: The number of answers, N.
        null_threshold: No answer is given if the logit of "no answer" exceeds that of the best answer by more than this
            number; None if there is always an answer.
    """
    count = tf.size(encoded["context"])
    logits, starts, limits = best_spans(
        outputs["start_logits"], outputs["end_logits"], encoded, longest=longest, most=most
    )
    rows = tf.cast(encoded["window_rows"], tf.int64)
    null_logit = tf.math.segment_min(outputs["start_logits"][:, 0] + outputs["end_logits"][:, 0], rows)
    possible = logits > MASKED_LOGIT / 2
    starts, limits = tf.where(possible, starts, 0), tf.where(possible, limits, 0)
    null = tf.fill([count], MASKED_LOGIT) if null_threshold is None else null_logit
    weights = tf.nn.softmax(tf.concat([tf.where(possible, logits, MASKED_LOGIT), null[:, None]], 1))
    scores = tf.where(possible, weights[:, :-1], 0.0)
    context = tf.strings.unicode_transcode(encoded["context"], "UTF-8", "UTF-8")
    wide = tf.repeat(context[:, None], tf.shape(starts)[1], axis=1)
    texts = tf.strings.substr(wide, starts, limits - starts, unit="UTF8_CHAR")
    answered = possible[:, 0]
    if null_threshold is not None:
        answered &= null_logit - logits[:, 0] <= null_threshold
    none = tf.zeros([count]) if null_threshold is None else weights[:, -1]
    return {
        "answer": tf.where(answered, texts[:, 0], ""),
        "start": tf.where(answered, starts[:, 0], 0),
        "end": tf.where(answered, limits[:, 0], 0),
        "score": tf.where(answered, scores[:, 0], none),
        "count": tf.reduce_sum(tf.cast(possible, tf.int32), -1),
        "answers": texts,
        "starts": starts,
        "ends": limits,
        "scores": scores,
        "logits": tf.where(possible, logits, 0.0),
        "null_logit": null_logit,
    }


def best_texts(answers: Mapping[str, np.ndarray]) -> tuple[list[str], list[float]]:
    """Returns the best answer to each question, and the logit of "no answer" minus that of the best answer.

    Args:
        answers: The answers of the model, as in `served_context_answers`.
    """
    found = answers["count"] > 0
    texts = [text.decode("utf-8") if any_ else "" for text, any_ in zip(answers["answers"][:, 0], found, strict=True)]
    differences = np.where(found, answers["null_logit"] - answers["logits"][:, 0], np.inf)
    return texts, differences.tolist()


def tuned_threshold(examples: Sequence[Question], answers: Mapping[str, np.ndarray], *, by_characters: bool) -> float:
    """Returns the threshold of "no answer" that gives the highest F1.

    Args:
        examples: The questions with their answers.
        answers: The answers of the model.
        by_characters: Whether answers are measured by characters.
    """
    f1 = metrics.character_f1 if by_characters else metrics.f1
    texts, differences = best_texts(answers)
    scores = [
        metrics.best(f1, [answer.text for answer in example.answers], text) if example.answers else 0.0
        for example, text in zip(examples, texts, strict=True)
    ]
    return metrics.best_threshold(differences, scores, [not example.answers for example in examples])


def answer_scores(examples: Sequence[Question], texts: Sequence[str], *, by_characters: bool) -> dict[str, Any]:
    """Returns the exact match and the F1 of answers; see `QuestionAnsweringTask.evaluate`.

    Args:
        examples: The questions with their answers.
        texts: The answer that is given to each question; "" for no answer.
        by_characters: Whether answers are measured by characters.
    """
    exact_match = metrics.character_exact_match if by_characters else metrics.exact_match
    f1 = metrics.character_f1 if by_characters else metrics.f1
    scores = []
    for example, text in zip(examples, texts, strict=True):
        true = [answer.text for answer in example.answers or ()]
        scores.append((metrics.best(exact_match, true, text), metrics.best(f1, true, text)))
    found = np.array(scores).reshape(-1, 2)
    possible = np.array([bool(example.answers) for example in examples])
    result: dict[str, Any] = {"examples": len(examples)}
    for name, rows in (("", possible | True), ("_answerable", possible), ("_unanswerable", ~possible)):
        if rows.any() and (not name or not possible.all()):
            result[f"exact_match{name}"], result[f"f1{name}"] = found[rows].mean(0).tolist()
    return result
