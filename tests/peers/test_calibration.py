"""Transformers gives the calibrated probabilities, since the temperature is in the weights."""

import numpy as np
import pytest

from kbert.prediction.loading import load
from kbert.training.calibrate import calibrate

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = ["the cat sat on the mat .", "a dog ran", "fast !"]


def test_a_calibrated_classifier(tmp_path, classifier, within):
    labels = ["fine", "bad", "good"] * 40
    rows = [{"text": TEXTS[place % 2], "label": label} for place, label in enumerate(labels)]
    metrics = calibrate(classifier, validation=rows, output=tmp_path / "calibrated")
    assert abs(metrics["temperature"] - 1) > 0.1
    model = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "calibrated").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "calibrated")
    with torch.no_grad():
        logits = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.numpy()
    theirs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    within(
        "calibrated probabilities", load(tmp_path / "calibrated").answers(TEXTS)["probabilities"], theirs, bound=1e-5
    )
