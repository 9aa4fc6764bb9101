import json

from click.testing import CliRunner

from kbert.cli.main import main


def run(*arguments):
    result = CliRunner().invoke(main, ["convert", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_there_and_back(tmp_path, classifier):
    code, out, err = run(classifier, tmp_path / "google", "--to", "google")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == ("bundle → google: BertForSequenceClassification, 41 tensors, all identical after reading back")
    assert lines[-1] == f"largest difference 0.00e+00: {tmp_path / 'google'}"
    assert err.startswith("note: the model has the erf form of GELU; ")
    code, out, _ = run(tmp_path / "google", tmp_path / "back", "--json")
    assert code == 0
    assert json.loads(out) == {
        "source_format": "google",
        "destination_format": "bundle",
        "architecture": "BertForSequenceClassification",
        "tensors": 41,
        "differences": {"sequence_output": 0.0, "pooled_output": 0.0, "logits": 0.0},
        "notes": [],
        "largest_difference": 0.0,
    }


def test_mistakes_are_one_line(tmp_path, classifier):
    code, _, err = run(classifier, tmp_path / "out", "--to", "keras-hub")
    assert code == 1
    assert err.startswith("Error: KerasHub's BERT supports only the tanh form of GELU.")
    assert err.count("\n") == 1
    code, _, err = run(tmp_path / "nothing", tmp_path / "out")
    assert code == 2
    assert err.startswith("Error: expected a model folder (config.json and model.safetensors), a checkpoint")
    assert err.endswith("nothing does not exist\n")
    assert not list(tmp_path.iterdir())
