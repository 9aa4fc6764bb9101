import numpy as np
import pytest

from kbert.tasks.metrics.bootstrap import bootstrap_interval


def accuracy(examples, answers):
    return float(np.mean([example == answer for example, answer in zip(examples, answers["label"], strict=True)]))


def test_the_interval_of_an_accuracy_is_that_of_the_binomial_distribution():
    # 1.96 standard deviations of 400 draws of probability 0.8 are 0.0392.
    examples, answers = [1] * 400, {"label": np.arange(400) < 320}
    low, high = bootstrap_interval(accuracy, examples, answers)
    assert low == pytest.approx(0.8 - 0.0392, abs=0.008)
    assert high == pytest.approx(0.8 + 0.0392, abs=0.008)


def test_examples_and_answers_are_drawn_together():
    examples = list(range(50))
    answers = np.where(np.arange(50) < 49, np.arange(50), -1)  # all are right but one
    low, high = bootstrap_interval(accuracy, examples, {"label": answers})
    assert 0.9 < low < high == 1.0


def test_there_is_no_interval_if_all_answers_are_right():
    assert bootstrap_interval(accuracy, list(range(50)), {"label": np.arange(50)}) is None


def test_there_is_no_interval_if_a_sample_has_no_value():
    def measure(examples, answers):
        return float("nan") if 0 not in examples else 1.0 / len(set(examples))

    assert bootstrap_interval(measure, list(range(10)), {}) is None


def test_the_same_seed_gives_the_same_interval():
    examples, answers = [1] * 30, {"label": np.arange(30) < 12}
    assert bootstrap_interval(accuracy, examples, answers) == bootstrap_interval(accuracy, examples, answers)
    assert bootstrap_interval(accuracy, examples, answers) != bootstrap_interval(accuracy, examples, answers, seed=1)


@pytest.mark.parametrize("examples", [[], [1], [1, 2, 3]])
def test_there_is_no_interval_without_an_answer_for_each_of_two_examples(examples):
    assert bootstrap_interval(accuracy, examples, {"label": np.arange(max(0, len(examples) - 1))}) is None
