import json

import keras
import pytest

from kbert.errors import UsageError
from kbert.training.options import PretrainOptions
from kbert.training.run import Run
from kbert.training.run_folder.runs import RunRecord


def run_of(folder, **options):
    return Run("pretrain", PretrainOptions(corpus="corpus", model="tiny", output=folder, steps=4, **options))


def test_the_chief_logs_and_claims(tmp_path, told):
    run = run_of(tmp_path / "run")
    assert run.is_chief
    run.tell("one", "two")
    assert told() == ["one", "two"]
    record = RunRecord("pretrain", run.options.remembered())
    run.claim(record)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["batch_size"] == 32
    with pytest.raises(UsageError, match=r"holds a run; add --resume"):
        run.claim(record)


def test_callbacks_are_checked(tmp_path):
    assert run_of(tmp_path, callbacks=[keras.callbacks.Callback()]).folder == tmp_path
    with pytest.raises(UsageError, match=r"^callbacks must be keras\.callbacks\.Callback objects\. Received: int$"):
        run_of(tmp_path, callbacks=[1])
