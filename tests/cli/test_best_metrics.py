import json

from kbert.cli.best_metrics import print_best_metrics


def test_the_metric_that_chose_the_weights_is_the_first(tmp_path, capsys):
    (tmp_path / "kbert.json").write_text(json.dumps({"main_metric": "f1"}))
    print_best_metrics({"examples": 3, "accuracy": 0.5, "f1": 0.25, "labels": ["a"]}, str(tmp_path))
    line = f"best on the validation data: f1 0.2500 (which chose the weights), accuracy 0.5000: {tmp_path}\n"
    assert capsys.readouterr().err == line
