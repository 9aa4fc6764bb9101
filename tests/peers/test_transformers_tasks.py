"""Transformers gives the same answers from the same tokens with kbert's models for texts, pairs and choices."""

import numpy as np
import pytest

from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.prediction.loading import load
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.regression import RegressionTask
from kbert.text.tokenizer import Tokenizer

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = ["the cat sat on the mat .", "a dog ran", "fast !"]
PAIRS = ["a slow dog", "the mat , the cat", "on"]


@pytest.fixture
def save(tmp_path, small_config, vocabulary, random_tensors):
    """Writes the folder of a task with random weights."""

    def write(task):
        tensors = random_tensors(task.bindings(task.build(BertEncoder(small_config))))
        settings = {"kind": "task", "task": task.settings(), "sequence_length": 32}
        bundle = Bundle(
            small_config, Tokenizer(vocabulary), tensors, task.architecture, settings, task.foreign_config()
        )
        bundle.save(tmp_path / "model", "# A card\n")
        return tmp_path / "model"

    return write


def logits(kind, folder, *texts):
    """What Transformers gives for texts, with the tokenizer of the folder."""
    model = getattr(transformers, kind).from_pretrained(folder).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(*texts, padding=True, return_tensors="pt")
    if kind == "BertForMultipleChoice":
        tokens = {name: value[None] for name, value in tokens.items()}
    with torch.no_grad():
        return model(**tokens).logits.numpy(), model.config


def test_regression(save):
    folder = save(RegressionTask(True, 2.5, 1.5))
    theirs, config = logits("BertForSequenceClassification", folder, TEXTS, PAIRS)
    assert (config.problem_type, config.num_labels) == ("regression", 1)
    np.testing.assert_allclose(load(folder).answers(TEXTS, PAIRS)["value"], theirs[:, 0], atol=1e-5)


def test_multilabel(save):
    folder = save(MultilabelTask(["a", "好", "c"]))
    theirs, config = logits("BertForSequenceClassification", folder, TEXTS)
    assert (config.problem_type, config.id2label[1]) == ("multi_label_classification", "好")
    np.testing.assert_allclose(load(folder).answers(TEXTS)["probabilities"], 1 / (1 + np.exp(-theirs)), atol=1e-5)


def test_multiple_choice(save):
    folder = save(MultipleChoiceTask())
    theirs, _ = logits("BertForMultipleChoice", folder, [TEXTS[0]] * 3, PAIRS)
    expected = np.exp(theirs) / np.exp(theirs).sum(-1, keepdims=True)
    np.testing.assert_allclose(load(folder).answers([TEXTS[0]], [PAIRS])["probabilities"], expected, atol=1e-5)
