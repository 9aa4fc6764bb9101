import sys

import pytest

from kbert.errors import TrainingError, UsageError
from kbert.training.devices.launch import launch


@pytest.mark.parametrize("command", [[], ["predict", "run", "text"], ["--steps", "3"]])
def test_commands_that_do_not_train(command):
    with pytest.raises(UsageError, match=r"^expected a command that trains, as in `kbert launch "):
        launch(command, workers=2)


def test_numbers_that_cannot_be():
    with pytest.raises(UsageError, match=r"^workers must be at least 1\. Received: workers=0$"):
        launch(["pretrain"], workers=0)


def test_wrong_options_end_all_workers_without_a_restart(capsys, told):
    with pytest.raises(UsageError, match=r"^worker [01] did not accept its options$"):
        launch(["pretrain", "--corpse", "a"], workers=2, max_restarts=5)
    errors = capsys.readouterr().err
    assert told() == []
    assert any(f"[{index}] Error: No such option" in errors for index in range(2)), errors
    assert sys.executable not in errors


@pytest.fixture
def attempts(monkeypatch):
    """What attempts end with, and which checkpoints they leave; each that is made is taken off."""
    planned = []

    def run_once(arguments, workers):
        code, checkpoint = planned.pop(0)
        if checkpoint is not None:
            checkpoint.touch()
        return 1, code

    monkeypatch.setattr("kbert.training.devices.launch._run_once", run_once)
    return planned


def test_an_error_that_comes_again_and_again_is_not_tried_for_ever(tmp_path, attempts, told):
    checkpoints = tmp_path / "run/checkpoints"
    checkpoints.mkdir(parents=True)
    steps = [checkpoints / f"step-{step:08d}.safetensors" for step in (7, 14)]
    # Killed workers may always come back, and so may those that came further.
    attempts += [(1, steps[0]), (1, None), (-9, None), (1, None), (1, steps[1]), (1, None), (1, None), (1, None)]
    with pytest.raises(
        TrainingError, match=r"^worker 1 ended with exit code 1, 3 times in a row without a new checkpoint"
    ):
        launch(["pretrain", "--output", str(tmp_path / "run")], workers=2, max_restarts=20)
    assert attempts == []
    assert sum("restarting all workers" in message for message in told()) == 7


@pytest.mark.slow
def test_two_workers_train_one_model(tmp_path, corpus, pretrained):
    """With nothing prepared: workers cannot be joined once TensorFlow has computed, as reading records makes it do."""
    options = {"corpus": corpus, "model": pretrained, "output": tmp_path / "run", "steps": 2, "batch-size": 8}
    arguments = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    launch(["pretrain", *arguments], workers=2)
    assert (tmp_path / "run" / "model.safetensors").exists()
