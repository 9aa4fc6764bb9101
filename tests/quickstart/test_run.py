import json

import pytest

from kbert.errors import UsageError
from kbert.quickstart.run import quickstart


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(UsageError, match="new or empty folder"):
        quickstart(output=tmp_path)


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    results = quickstart(output=tmp_path / "out", results=tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert results["mlm_loss_start"] - results["mlm_loss_end"] > 2
    assert results["accuracy"] > results["accuracy_without_pretraining"]
    assert results["accuracy"] > results["majority_accuracy"] + 0.1
    assert results["served_reply"]["label"] in ("keras", "numpy", "python", "tensorflow")
