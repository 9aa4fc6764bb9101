"""SavedModels of embedding, ranking and summarization, asked in a process that has no kbert."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kbert.export.saved_model import export_saved_model
from kbert.predictor import load

SCRIPT = """
import json, sys
sys.modules["kbert"] = None
import tensorflow as tf, tensorflow_text
folder, inputs = sys.argv[1], json.loads(sys.argv[2])
serve = tf.saved_model.load(folder).signatures["serving_default"]
outputs = serve(**{name: tf.constant(values) for name, values in inputs.items()})
decoded = {}
for name, values in outputs.items():
    array = values.numpy()
    decoded[name] = [[t.decode() for t in row] if hasattr(row, "tolist") else row.decode() for row in array] \\
        if array.dtype == object else array.tolist()
print(json.dumps(decoded))
"""
TEXTS = ["The cat sat.", "", "Ein Wörterbuch 中文", "a dog ran on the mat " * 5]
SEVERAL = [
    ["the cat", "a dog ran", "fast", "Ünïcödé"],
    ["mat", "", "", ""],
    [*TEXTS[2:], "a", "on"],
    ["sat", "ran", "", ""],
]


@pytest.mark.parametrize("name", ["embedder", pytest.param("ranker", marks=pytest.mark.slow), "summarizer"])
def test_the_served_answer_is_the_predicted_one(tmp_path, request, name):
    model = request.getfixturevalue(name)
    inputs = {
        "embedder": {"text": TEXTS},
        "ranker": {"query": TEXTS, "candidates": SEVERAL},
        "summarizer": {"sentences": SEVERAL},
    }[name]
    folder = export_saved_model(model, output=tmp_path / "m")
    command = [sys.executable, "-c", SCRIPT, str(folder), json.dumps(inputs)]
    served = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout)
    wanted = load(model).answers(*inputs.values())
    assert served.keys() == wanted.keys()
    for key, values in wanted.items():
        if values.dtype == object:
            assert served[key] == np.char.decode(values.astype(bytes), "utf-8").tolist()
        else:
            np.testing.assert_allclose(served[key], values, atol=1e-5)


@pytest.mark.parametrize("name", ["embedder", "ranker", pytest.param("summarizer", marks=pytest.mark.slow)])
def test_litert(tmp_path, request, name):
    from kbert.export.litert import export_litert

    assert export_litert(request.getfixturevalue(name), output=tmp_path / "m.tflite").stat().st_size > 10_000
