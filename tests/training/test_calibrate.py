import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import kbert
from kbert.errors import DataError, UsageError
from kbert.export.saved_model import export_saved_model
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.regression import RegressionTask
from kbert.training.calibrate import calibrate

WORDS = "the a cat dog sat on mat ran fast slow un . , !".split()


@pytest.fixture(scope="module")
def rows(classifier):
    """Texts whose labels are drawn from probabilities that are softer than those of the model."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(300)]
    answers = load(classifier).answers(texts)
    labels = answers["classes"][0]
    soft = np.sqrt(answers["probabilities"].astype(np.float64))
    soft /= soft.sum(-1, keepdims=True)
    return [
        {"text": text, "label": labels[rng.choice(3, p=row)].decode()} for text, row in zip(texts, soft, strict=True)
    ]


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory, classifier, rows):
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    return folder, calibrate(classifier, validation=rows, output=folder, target_risk=0.3)


def test_the_temperature_is_in_the_weights(calibrated, classifier):
    folder, metrics = calibrated
    assert 1.5 < metrics["temperature"] < 2.7  # the square root of the probabilities is the temperature 2
    before, after = Bundle.load(classifier).tensors, Bundle.load(folder).tensors
    for name, tensor in before.items():
        factor = metrics["temperature"] if name.startswith("classifier.") else 1.0
        np.testing.assert_allclose(after[name] * factor, tensor, rtol=1e-5)
    texts = ["the cat sat", "a dog ran fast"]
    hot, cool = load(classifier).answers(texts), load(folder).answers(texts)
    powers = hot["probabilities"] ** (1 / metrics["temperature"])
    np.testing.assert_allclose(cool["probabilities"], powers / powers.sum(-1, keepdims=True), atol=1e-5)
    assert cool["label"].tolist() == hot["label"].tolist()


@pytest.mark.long
def test_the_error_decreases_and_is_remembered(calibrated, rows):
    folder, metrics = calibrated
    assert metrics["calibration_error"] < metrics["calibration_error_before"] / 2
    settings = json.loads((folder / "kbert.json").read_text())
    assert settings["task"]["temperature"] == metrics["temperature"]
    assert settings["metrics"]["calibration_error"] == metrics["calibration_error"]
    assert "worst_examples" not in settings["metrics"]
    again = load(folder).evaluate(rows)
    assert again["calibration_error_before"] == pytest.approx(metrics["calibration_error_before"], abs=1e-6)


@pytest.mark.long
def test_the_target_risk_is_kept_on_the_validation_examples(calibrated, rows):
    folder, metrics = calibrated
    assert metrics["answered_accuracy"] >= 0.7
    assert 0 < metrics["coverage"] < 1
    loaded = load(folder)
    answers = loaded.predict([row["text"] for row in rows])
    assert np.mean([not answer["abstained"] for answer in answers]) == pytest.approx(metrics["coverage"])
    assert "abstained" not in load(folder, abstain_below=0).predict(["the cat"])[0]
    assert all(answer["abstained"] for answer in load(folder, abstain_below=1).predict(["the cat"]))


@pytest.mark.long
def test_a_folder_is_calibrated_in_place(tmp_path, classifier, rows):
    folder = tmp_path / "run"
    shutil.copytree(classifier, folder)
    first = calibrate(folder, validation=rows)
    second = calibrate(folder, validation=rows, abstain_below=0.5)
    assert second["temperature"] == pytest.approx(1.0, abs=1e-3)
    assert load(folder).task.temperature == pytest.approx(first["temperature"], rel=1e-3)
    assert load(folder).task.abstain_below == 0.5
    assert (folder / "README.md").read_text() == "# A card\n"


@pytest.mark.long
def test_labels_stay_the_same_in_multilabel_classification(tmp_path, make_task_model):
    task = MultilabelTask(["x", "y"], thresholds=[0.4, 0.6])
    folder = make_task_model(tmp_path / "run", task)
    texts = ["the cat sat", "a dog", "fast !", "on the mat", "slow slow dog"]
    before = load(folder).predict(texts)
    rows = [{"text": text, "label": answer["labels"]} for text, answer in zip(texts, before, strict=True)]
    rows[0]["label"] = ["x"] if rows[0]["label"] == [] else []
    calibrate(folder, validation=rows)
    after = load(folder).predict(texts)
    assert [answer["labels"] for answer in after] == [answer["labels"] for answer in before]
    assert after[1]["probabilities"] != before[1]["probabilities"]


@pytest.mark.slow
def test_an_export_answers_as_the_calibrated_model(tmp_path, calibrated):
    folder, _ = calibrated
    version = export_saved_model(folder, output=tmp_path / "saved")
    texts = ["the cat sat", "a dog ran fast", "!"]
    served = tf.saved_model.load(str(version)).signatures["serving_default"](text=tf.constant(texts))
    expected = load(folder).answers(texts)
    np.testing.assert_allclose(served["probabilities"], expected["probabilities"], atol=1e-5)
    assert served["abstained"].numpy().tolist() == expected["abstained"].tolist()
    manifest = json.loads((version / "assets.extra" / "kbert.json").read_text())
    assert manifest["abstain_below"] == load(folder).task.abstain_below


@pytest.mark.long
def test_what_is_refused(tmp_path, classifier, make_task_model, make_sentence_folder, rows):
    regression = make_task_model(tmp_path / "regression", RegressionTask())
    with pytest.raises(UsageError, match=r"^calibration is for classification, .* Received: a model for regression"):
        calibrate(regression, validation=rows)
    multilabel = make_task_model(tmp_path / "multilabel", MultilabelTask(["fine", "bad", "good"]))
    with pytest.raises(UsageError, match=r"^a model abstains from a choice among classes"):
        calibrate(multilabel, validation=rows, abstain_below=0.5)
    with pytest.raises(UsageError, match=r"^give one of abstain_below and target_risk, .* Received: both$"):
        calibrate(classifier, validation=rows, abstain_below=0.5, target_risk=0.1)
    wrong = [{"text": "a", "label": "bad"}, {"text": "a", "label": "fine"}, {"text": "a", "label": "good"}]
    with pytest.raises(DataError, match=r"at most the part 0 of wrong answers\. Received: .* 0\.6667 or more"):
        calibrate(classifier, validation=wrong, output=tmp_path / "new", target_risk=0)
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match=r"^--output must be a new or empty folder"):
        calibrate(classifier, validation=rows, output=regression)
    foreign = shutil.copytree(classifier, tmp_path / "foreign")
    (foreign / "kbert.json").unlink()
    with pytest.raises(UsageError, match=r"^give output, a folder for .* a model of another library, which stays"):
        calibrate(foreign, validation=rows)


@pytest.mark.long
def test_fine_tuning_calibrates(tmp_path, cats_and_dogs, quick, logged):
    options = quick | cats_and_dogs
    metrics = kbert.finetune("classification", **options, output=tmp_path / "run", calibrate=True, target_risk=0.4)
    assert metrics["calibration_error_before"] >= 0
    assert metrics["coverage"] > 0
    loaded = load(tmp_path / "run")
    assert loaded.task.temperature != 1
    again = loaded.evaluate(cats_and_dogs["validation"])
    assert again["calibration_error"] == pytest.approx(metrics["calibration_error"], abs=1e-5)
    assert any("calibrated with the temperature" in message for message in logged())


@pytest.mark.slow
def test_the_adapter_beside_a_run_is_calibrated_too(tmp_path, cats_and_dogs, quick):
    run = tmp_path / "run"
    kbert.finetune("classification", **quick, **cats_and_dogs, output=run, adapter="bitfit")
    calibrate(run, validation=cats_and_dogs["validation"])
    whole, adapter = load(run), load(run / "adapter")
    assert whole.task.temperature == adapter.task.temperature != 1
    texts = ["the fast cat sat .", "the slow dog ran ."]
    expected = whole.answers(texts)["probabilities"]
    np.testing.assert_allclose(adapter.answers(texts)["probabilities"], expected, atol=1e-6)
    with pytest.raises(UsageError, match=r"^give output, .* an adapter, whose base model stays as it is$"):
        calibrate(run / "adapter", validation=cats_and_dogs["validation"])


def test_fine_tuning_refuses_to_calibrate_before_it_starts(tmp_path, quick):
    rows = [{"text": "a", "label": 1.0}, {"text": "the", "label": 2.0}]
    files = {"train": rows, "validation": rows, "output": tmp_path / "run"}
    with pytest.raises(UsageError, match=r"^calibrate is for classification, .* Received: regression; leave it out$"):
        kbert.finetune("regression", **quick, **files, calibrate=True)
    with pytest.raises(UsageError, match=r"^target_risk is for classification and multiple choice\. Received: regres"):
        kbert.finetune("regression", **quick, **files, target_risk=0.1)
