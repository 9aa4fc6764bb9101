"""A model is exported, served, and queried by the client in apps/tf_serving."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import kbert
from kbert.serving.server import running_server

CLIENT = Path(__file__).parents[2] / "apps" / "tf_serving" / "client.py"


@pytest.mark.parametrize(
    "paired", [pytest.param(False, marks=pytest.mark.slow), pytest.param(True, marks=pytest.mark.long)]
)
def test_the_served_answer_is_the_predicted_one(tmp_path, classifier, pair_classifier, paired):
    model = pair_classifier if paired else classifier
    texts = ["The cat sat.", "", "Ein Wörterbuch 中文"]
    pairs = ["A dog ran!", "the mat", "fast"] if paired else None
    kbert.export_saved_model(model, output=tmp_path / "films")
    with running_server(tmp_path) as server:
        command = [sys.executable, CLIENT, "--url", server.url, "--model", "films", *texts]
        for pair in pairs or ():
            command += ["--pair", pair]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    served = [json.loads(line)["prediction"] for line in lines]
    predicted = kbert.load(model).predict(texts, pairs)
    assert [answer["label"] for answer in served] == [answer["label"] for answer in predicted]
    for answer, wanted in zip(served, predicted, strict=True):
        given = dict(zip(answer["classes"], answer["probabilities"], strict=True))
        assert given == pytest.approx(wanted["probabilities"], abs=1e-5)
