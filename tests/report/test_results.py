import re

from kbert.report.results import results_of
from kbert.report.run_folder import Run

METRICS = {"accuracy": 0.875, "interval": {"metric": "accuracy", "low": 0.8125, "high": 0.9375, "level": 0.95}}
BASELINE = {"answer": "always answers 'a'", "metric": "accuracy", "value": 0.5}


def run(name, **outcome):
    return Run(name=name, settings={}, rows=[], environment={}, samples=[], outcome=outcome, worst={})


def text(parts):
    return " ".join(re.sub(r"<[^>]+>", " ", "".join(parts)).split())


def test_the_main_metric_comes_first_with_its_interval_and_the_baseline():
    found = text(results_of([run("a", metrics=METRICS, main_metric="accuracy", baseline=BASELINE)]))
    assert found.startswith(
        "Result 0.875 accuracy on the validation examples; 95 % confidence interval 0.8125 to 0.9375. A model that "
        "always answers &#39;a&#39; has 0.5."
    )


def test_older_runs_have_neither():
    found = text(results_of([run("a", metrics={"f1": 0.25}, main_metric="f1")]))
    assert found == "Result 0.25 f1 on the validation examples."


def test_several_runs_are_a_table():
    runs = [run("a", metrics=METRICS, main_metric="accuracy", baseline=BASELINE), run("b")]
    found = text(results_of(runs))
    assert "a accuracy 0.875 0.8125 to 0.9375 0.5 (always answers &#39;a&#39;)" in found


def test_runs_that_are_no_finished_tasks_have_no_result():
    assert results_of([run("a"), run("b", metrics={"mlm_loss": 3.0})]) == []
