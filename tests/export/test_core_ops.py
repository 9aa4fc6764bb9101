"""Exports with `ops="core"` run where TensorFlow Text is not installed."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from kbert.errors import ParityError
from kbert.export import saved_model
from kbert.export.saved_model import export_saved_model
from kbert.prediction.loading import load
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.tagging import TaggingTask
from kbert.text.tokenizer import Tokenizer

TEXTS = ["The cat[SEP] sat [MASK] on", "", "zzz 中文", "unaffable dogs !", "a " * 60, "s" * 101]

# Prints the operations that TensorFlow does not know, and the answers of both loaders.
SERVE = """
import json, sys
for name in ("kbert", "tensorflow_text"):
    sys.modules[name] = None  # an import would fail
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

def plain(outputs):
    return {
        name: np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v, otypes=[object])(value).tolist()
        for name, value in outputs.items()
    }

import numpy as np
folder, texts = sys.argv[1], json.loads(sys.argv[2])
with open(folder + "/saved_model.pb", "rb") as file:
    (graph,) = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs
library = graph.graph_def.library.function
operations = {node.op for nodes in (graph.graph_def.node, *(each.node_def for each in library)) for node in nodes}
functions = {each.signature.name for each in library}
unknown = sorted(name for name in operations - functions if op_def_registry.get(name) is None)
answers = tf.saved_model.load(folder).signatures["serving_default"](text=tf.constant(texts))
answers = [plain({name: value.numpy() for name, value in answers.items()})]
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    signature = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def["serving_default"]
    feeds = {signature.inputs["text"].name: texts}
    answers.append(plain(session.run({name: info.name for name, info in signature.outputs.items()}, feeds)))
print(json.dumps({"unknown": unknown, "answers": answers}))
"""


@pytest.fixture(scope="module")
def make_export(tmp_path_factory, make_task_model, vocabulary, small_config):
    """Gives the folder of a model that finds special tokens in text, and that of its export."""

    def make(task, ops="core"):
        root = tmp_path_factory.mktemp("core")
        config = small_config.replace(num_hidden_layers=1)
        tokenizer = Tokenizer(vocabulary, special_tokens_in_text=True)
        model = make_task_model(root / "model", task, config=config, tokenizer=tokenizer)
        return model, export_saved_model(model, output=root / "served", ops=ops)

    return make


def operations(folder):
    """The operations of a SavedModel."""
    (graph,) = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    return {node.op for each in graph.graph_def.library.function for node in each.node_def}


def check_answers(answers, model):
    """Compares answers with those of the model folder."""
    expected = load(model).answers(TEXTS)
    assert answers.keys() == expected.keys()
    for name, values in expected.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(np.array(answers[name], np.float32), values, atol=1e-5)
        else:
            texts = np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v, otypes=[object])(values)
            assert answers[name] == texts.tolist()


@pytest.mark.long
@pytest.mark.parametrize(
    "task",
    [
        ClassificationTask(["bad", "good"]),
        pytest.param(TaggingTask(["O", "B-a", "I-a"]), marks=pytest.mark.slow),
    ],
    ids=["classification", "tagging"],
)
def test_tensorflow_alone_serves_it(tmp_path, make_export, task):
    model, folder = make_export(task)
    result = subprocess.run(
        [sys.executable, "-c", SERVE, str(folder), json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    served = json.loads(result.stdout)
    assert served["unknown"] == []
    assert len(served["answers"]) == 2
    for answers in served["answers"]:
        check_answers(answers, model)
    requests = tmp_path / "requests.json"
    requests.write_text(
        json.dumps([{"folder": str(folder), "signature": "serving_default", "inputs": {"text": TEXTS}}])
    )
    client = Path(__file__).parent / "c_api_client.py"
    result = subprocess.run(
        [sys.executable, client, requests, "core"], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    check_answers(json.loads(result.stdout)[0], model)


@pytest.mark.slow
def test_the_default_has_operations_of_tensorflow_text(make_export):
    task = ClassificationTask(["bad", "good"])
    of_text = {"FastWordpieceTokenizeWithOffsets", "RegexSplitWithOffsets"}
    assert operations(make_export(task, "text")[1]) >= of_text
    assert not operations(make_export(task, "core")[1]) & of_text


@pytest.mark.long
def test_a_tokenizer_with_other_ids_is_not_written(tmp_path, monkeypatch, classifier):
    right = saved_model.GraphTokenizer

    def wrong(vocabulary, settings, text_tokens, **arguments):
        return right(vocabulary, dataclasses.replace(settings, max_word_length=2), text_tokens, **arguments)

    monkeypatch.setattr(saved_model, "GraphTokenizer", wrong)
    with pytest.raises(ParityError, match=r"serving_default, .* nothing was written$"):
        export_saved_model(classifier, output=tmp_path / "reviews", ops="core")
    assert list((tmp_path / "reviews").iterdir()) == []
