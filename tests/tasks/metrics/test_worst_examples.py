import numpy as np

from kbert.tasks.metrics.worst_examples import worst_examples
from kbert.tasks.text_task import Example


def test_the_worst_come_first_and_those_that_are_right_not_at_all():
    examples = [Example("a", None, "x", 2), Example("b" * 301, "c", "x", 3), Example("d", None, "x", 4)]
    worst = worst_examples(examples, np.array([0.5, 0.9, 0.0]), lambda index: {"predicted": index})
    assert worst == [
        {"line": 3, "text": "b" * 300 + "…", "pair": "c", "predicted": 1},
        {"line": 2, "text": "a", "predicted": 0},
    ]


def test_there_are_at_most_twenty():
    examples = [Example("a", None, None, line) for line in range(30)]
    worst = worst_examples(examples, np.arange(30) + 1.0, lambda index: {})
    assert [row["line"] for row in worst] == list(range(29, 9, -1))
