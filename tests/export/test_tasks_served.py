"""Each task's SavedModel answers as the model does, where kbert is never imported."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kbert.bundle import Bundle
from kbert.export.litert import export_litert
from kbert.export.saved_model import export_saved_model
from kbert.models.encoder import BertEncoder
from kbert.predictor import load
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.tagging import TaggingTask
from kbert.text.tokenizer import Tokenizer

SERVE = """
import json, sys
import tensorflow as tf
import tensorflow_text
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
def plain(value):
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value
answers = serve(**{name: tf.constant(texts) for name, texts in json.loads(sys.argv[2]).items()})
assert not [name for name in sys.modules if name.split(".")[0] == "kbert"]
print(json.dumps({name: plain(values.numpy().tolist()) for name, values in answers.items()}))
"""

LONG = "the cat sat on the mat . Ünaffable dogs ran 中文 ! " * 5
TEXTS = [LONG, "", "a dog"]
TASKS = {
    "classification": (ClassificationTask(["差评", "好评", "一般"]), {"text": TEXTS}),
    "classification of pairs": (
        ClassificationTask(["no", "yes"], paired=True),
        {"text": TEXTS, "text_pair": TEXTS[::-1]},
    ),
    "multilabel": (MultilabelTask(["动作", "crime", "b|c"], thresholds=[0.5, 0.4, 0.6]), {"text": TEXTS}),
    "regression": (RegressionTask(True, 2.5, 1.5), {"text": TEXTS, "text_pair": TEXTS[::-1]}),
    "multiple-choice": (
        MultipleChoiceTask(),
        {"prompt": TEXTS, "choices": [["the mat", LONG, "", ""], ["a", "b", "中", "ran"], ["fast", "", "slow", ""]]},
    ),
    "tagging": (TaggingTask(["O", "B-a", "I-a", "B-b", "I-b"]), {"text": [LONG, "", "a dog"]}),
    "crf": (TaggingTask(["O", "B-a", "E-a", "S-a", "I-a"], crf=True), {"text": [LONG, "", "a dog"]}),
    "question-answering": (
        QuestionAnsweringTask(impossible=True),
        {"question": ["cat ?", "the", "a " * 40], "context": [LONG, "the dog", LONG]},
    ),
    "fill-mask": (None, {"text": ["the [MASK] sat on a [MASK] .", "a cat", "[MASK]"]}),
}


# Each takes a process that starts TensorFlow: the default run has the kinds of answers that differ most.
ALWAYS = ("multilabel", "multiple-choice", "crf", "question-answering", "fill-mask")


@pytest.mark.parametrize(
    "name", [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in TASKS]
)
def test_the_exported_graph_answers_as_the_model(tmp_path, name, vocabulary, small_config, random_tensors, pretrained):
    task, inputs = TASKS[name]
    folder = pretrained
    if task is not None:
        folder = tmp_path / "model"
        tensors = random_tensors(task.slots(task.build(BertEncoder(small_config, pooled=task.pooled))))
        settings = {"kind": "task", "task": task.settings(), "sequence_length": 24}
        Bundle(small_config, Tokenizer(vocabulary), tensors, task.architecture, settings, task.foreign_config()).save(
            folder, "# A card\n"
        )
    exported = export_saved_model(folder, output=tmp_path / "served")
    result = subprocess.run(
        [sys.executable, "-c", SERVE, str(exported), json.dumps(inputs)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    served = json.loads(result.stdout)
    expected = load(folder).answers(*inputs.values())
    assert served.keys() == expected.keys()
    for output, values in expected.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(served[output], values, atol=1e-5)
        else:
            decoded = np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v, otypes=[object])(values)
            assert served[output] == decoded.tolist(), output
    assert any(values.size for values in expected.values())
    if name in ("tagging", "question-answering", "multilabel", "regression"):
        # Checked against the model before it is written.
        assert export_litert(folder, output=tmp_path / "m.tflite").stat().st_size > 10_000
