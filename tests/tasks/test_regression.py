import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn import metrics as sklearn_metrics

from kbert.errors import DataError
from kbert.models.encoder import BertEncoder
from kbert.tasks.regression import RegressionTask
from kbert.tasks.text_task import Example


def numbered(*targets):
    return [Example("text", None, target, line) for line, target in enumerate(targets, start=2)]


def test_numbers_are_read(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('index\ts1\ts2\tscore\n0\ta "b\tc\t5.000\n1\td\te\t-1e1\n')
    columns = {"text": "s1", "pair": "s2", "label": "score"}
    assert RegressionTask.read_examples(path, columns) == [Example('a "b', "c", 5.0, 2), Example("d", "e", -10.0, 3)]


@pytest.mark.parametrize("cell", ["high", "", "nan", "inf"])
def test_what_is_no_number(tmp_path, cell):
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\nx,1\ny,{cell}\n")
    with pytest.raises(DataError, match=rf"a\.csv:3: expected a number as label\. Received '{cell}'$"):
        RegressionTask.read_examples(path)


def test_decimal_commas(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text;label\nx;2,5\ny;-0,125\nz;3\n")
    assert [example.target for example in RegressionTask.read_examples(path)] == [2.5, -0.125, 3.0]
    path.write_text("text;label\nx;1.234,5\ny;\u22120,5\nz;-12.345.678,9\n", encoding="utf-8")
    assert [example.target for example in RegressionTask.read_examples(path)] == [1234.5, -0.5, -12345678.9]
    path.write_text('text,label\nx,"1,234.5"\ny,"1,234,567.0"\n')
    assert [example.target for example in RegressionTask.read_examples(path)] == [1234.5, 1234567.0]
    path.write_text("text;label\nx;2,5\ny;1,250\n")
    with pytest.raises(DataError, match=r"a\.csv:3: expected a number as label\. .* may be decimal or part thousands"):
        RegressionTask.read_examples(path)


def test_mean_and_deviation_are_those_of_training():
    task = RegressionTask.from_examples(numbered(1.0, 3.0), "a.csv")
    assert (task.mean, task.deviation, task.paired) == (2.0, 1.0, False)
    settings = json.loads(json.dumps(task.settings()))
    assert settings == {"name": "regression", "paired": False, "mean": 2.0, "deviation": 1.0}
    assert RegressionTask.from_settings(settings).settings() == settings
    with pytest.raises(ValueError, match=r"^mean must be a finite number, and deviation a finite number above 0$"):
        RegressionTask.from_settings(settings | {"deviation": 0})


def test_numbers_that_are_all_the_same():
    with pytest.raises(DataError, match=r"^a\.csv: expected numbers that differ\. Received 3\.0 alone$"):
        RegressionTask.from_examples(numbered(3.0, 3.0), "a.csv")


def test_a_fresh_model_answers_near_the_mean(small_config):
    task = RegressionTask(mean=1e6, deviation=10.0)
    batch = {
        "input_word_ids": np.array([[2, 7, 3]], np.int32),
        "input_mask": np.ones((1, 3), np.int32),
        "input_type_ids": np.zeros((1, 3), np.int32),
    }
    value = float(task.served_answers(task.build(BertEncoder(small_config))(batch), {})["value"][0])
    assert 0 < abs(value - 1e6) < 10


def test_the_loss_is_in_deviations():
    task = RegressionTask(mean=100.0, deviation=10.0)
    loss_sums = task.loss_sums({"logits": tf.constant([[120.0], [90.0]])}, {"labels": tf.constant([100.0, 100.0])})
    assert {name: float(value) for name, value in loss_sums.items()} == {"scaled_error": 5.0, "mse": 500.0}
    assert float(task.loss_weights({"labels": tf.constant([1.0, 2.0])})["mse"]) == 2


def test_answers():
    task = RegressionTask()
    answers = task.served_answers({"logits": tf.constant([[2.5], [-1.0]])}, {})
    assert answers["value"].numpy().tolist() == [2.5, -1.0]
    assert task.readable_answer({"value": np.float32(2.5)}) == {"value": 2.5}
    assert task.text_line({"text": "a", "value": 2.5}) == "2.5000\ta"


@pytest.mark.parametrize("cases", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_metrics_equal_those_of_scipy_and_scikit_learn(cases):
    rng = np.random.default_rng(0)
    task = RegressionTask()
    for _ in range(cases):
        count = rng.integers(3, 30)
        expected = rng.normal(size=count).round(1)  # with ties
        predicted = (expected + rng.normal(size=count)).round(1)
        result = task.evaluate(numbered(*expected.tolist()), {"value": predicted})
        if np.ptp(expected) and np.ptp(predicted):
            assert result["pearson"] == pytest.approx(np.corrcoef(expected, predicted)[0, 1], abs=1e-9)
            ranks = stats.rankdata(expected), stats.rankdata(predicted)
            assert result["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-9)
        assert result["mse"] == pytest.approx(sklearn_metrics.mean_squared_error(expected, predicted), abs=1e-9)
        assert result["mae"] == pytest.approx(np.abs(expected - predicted).mean(), abs=1e-9)
    json.dumps(result)


def test_a_constant_has_no_correlation():
    result = RegressionTask().evaluate(numbered(1.0, 2.0), {"value": np.array([3.0, 3.0])})
    assert (result["pearson"], result["spearman"], result["mse"]) == (0.0, 0.0, 2.5)
    assert result["worst_examples"] == [
        {"line": 2, "text": "text", "expected": 1.0, "predicted": 3.0},
        {"line": 3, "text": "text", "expected": 2.0, "predicted": 3.0},
    ]
