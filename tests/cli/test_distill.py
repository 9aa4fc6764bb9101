"""The commands `kbert distill` and `kbert prune`."""

import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.model_folder.bundle import Bundle


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("review,label\n" + "the cat,good\na dog,bad\n" * 4)
    return str(path)


@pytest.mark.long
def test_a_student_is_trained(classifier, table, tmp_path):
    arguments = ["--train", table, "--validation", table, "--text-column", "review", "--epochs", "1"]
    done = CliRunner().invoke(
        main, ["distill", str(classifier), "--model", "tiny", *arguments, "--output", str(tmp_path / "run")]
    )
    assert done.exit_code == 0, done.output
    assert "best on the validation data: accuracy" in done.stderr
    assert Bundle.load(tmp_path / "run").config.hidden_size == 128


@pytest.mark.long
def test_a_model_is_pruned(classifier, table, tmp_path):
    arguments = ["--train", table, "--validation", table, "--text-column", "review", "--epochs", "1"]
    sizes = ["--layers", "1", "--rounds", "1"]
    done = CliRunner().invoke(main, ["prune", str(classifier), *sizes, *arguments, "--output", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert "best on the validation data: accuracy" in done.stderr
    assert Bundle.load(tmp_path / "run").config.num_hidden_layers == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill", "--model", "tiny"], "give one of --validation FILE and --validation-split such as 0.1"),
        (["prune"], "expected what to keep: --layers, --intermediate or both. Received: neither"),
        (["prune", "--layers", "9", "--validation-split", "0.5"], "--layers must be from 1 to 2, the blocks of"),
        (
            ["distill", "--model", "tiny", "--validation-split", "0.5", "--relation-heads", "3"],
            "the hidden sizes of teacher and student, 32 and 128. Received: --relation-heads 3",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(classifier, table, tmp_path, arguments, message):
    command, *options = arguments
    done = CliRunner().invoke(
        main, [command, str(classifier), *options, "--train", table, "--output", str(tmp_path / "run")]
    )
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output
