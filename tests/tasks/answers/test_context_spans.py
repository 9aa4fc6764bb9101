"""The most probable spans over all windows, and the positions of given answers in the windows."""

import numpy as np
import tensorflow as tf

from kbert.layers.heads import MASKED_LOGIT
from kbert.tasks.answers.context_spans import answer_positions, best_spans
from kbert.tasks.readers.question_answering import Answer

# One context, "ab cd ef gh", of four words; two windows of [CLS] q [SEP] and three words, [SEP].
WINDOWS = {
    "context": tf.constant(["ab cd ef gh"]),
    "window_rows": tf.constant([0, 0]),
    "in_context": tf.constant([[False, False, False, True, True, True, False]] * 2),
    "token_starts": tf.constant([[0, 0, 0, 0, 3, 6, 0], [0, 0, 0, 3, 6, 9, 0]]),
    "token_ends": tf.constant([[0, 0, 0, 2, 5, 8, 0], [0, 0, 0, 5, 8, 11, 0]]),
}


def spans(start: list[list[float]], end: list[list[float]], **options: int) -> list[tuple[float, int, int]]:
    found = best_spans(tf.constant(start), tf.constant(end), WINDOWS, **options)
    assert all(values.shape[0] == 1 for values in found)
    logits, starts, ends = (values[0].numpy().tolist() for values in found)
    return list(zip(logits, starts, ends, strict=True))


class TestBestSpans:
    def test_the_same_span_of_two_windows_is_one(self) -> None:
        # "cd ef" has 5 in the first window and 7 in the second.
        start = [[9.0, 9, 9, 0, 3, 0, 9], [9.0, 9, 9, 4, 0, 0, 9]]
        end = [[9.0, 9, 9, 0, 0, 2, 9], [9.0, 9, 9, 0, 3, 1, 9]]
        assert spans(start, end, longest=3, most=4) == [(7.0, 3, 8), (5.0, 3, 11), (4.0, 3, 5), (3.0, 6, 8)]

    def test_no_span_is_longer_or_ends_before_its_start(self) -> None:
        start = [[0.0, 0, 0, 1, 2, 5, 0], [MASKED_LOGIT] * 7]
        end = [[0.0, 0, 0, 6, 2, 3, 0], [MASKED_LOGIT] * 7]
        found = spans(start, end, longest=1, most=3)
        assert found == [(8.0, 6, 8), (7.0, 0, 2), (4.0, 3, 5)]

    def test_fewer_spans_than_wanted_are_followed_by_never(self) -> None:
        start = [[0.0, 0, 0, 1, MASKED_LOGIT, MASKED_LOGIT, 0], [MASKED_LOGIT] * 7]
        found = spans(start, [[0.0, 0, 0, 1, 1, 1, 0], [MASKED_LOGIT] * 7], longest=1, most=2)
        assert found[0] == (2.0, 0, 2)
        assert found[1][0] < MASKED_LOGIT / 2


ARRAYS = {name: values.numpy() for name, values in WINDOWS.items()}


class TestAnswerPositions:
    def test_an_answer_is_where_all_of_it_is(self) -> None:
        start, end = answer_positions([Answer("cd ef", 3)], ARRAYS)
        assert (start.tolist(), end.tolist()) == ([4, 3], [5, 4])
        start, end = answer_positions([Answer("ab cd", 0)], ARRAYS)
        assert (start.tolist(), end.tolist()) == ([3, 0], [4, 0])

    def test_no_answer_is_at_cls(self) -> None:
        start, end = answer_positions([None], ARRAYS)
        assert (start.tolist(), end.tolist()) == ([0, 0], [0, 0])

    def test_spaces_at_the_ends_are_no_part_of_an_answer(self) -> None:
        start, end = answer_positions([Answer(" ef ", 5)], ARRAYS)
        assert (start.tolist(), end.tolist()) == ([5, 4], [5, 4])

    def test_a_part_of_a_token_takes_all_of_it(self) -> None:
        start, end = answer_positions([Answer("d e", 4)], ARRAYS)
        assert (np.array([start, end])[:, 0]).tolist() == [4, 5]
