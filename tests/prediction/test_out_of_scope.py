import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kbert.errors import UsageError
from kbert.prediction.loading import load
from kbert.prediction.out_of_scope import energy_function
from kbert.tasks.regression import RegressionTask

ROWS = [
    {"text": text, "label": label}
    for text, label in (
        ("the cat sat", "fine"),
        ("a dog ran", "bad"),
        ("on the mat", "good"),
        ("unaffable !", "oos"),
        ("slow , slow", "oos"),
    )
]


@pytest.mark.long
def test_texts_out_of_scope_do_not_count_in_other_metrics(classifier):
    loaded = load(classifier)
    metrics = loaded.evaluate(ROWS, out_of_scope_label="oos")
    inside = loaded.evaluate(ROWS[:3])
    assert {name: metrics[name] for name in inside} == inside
    assert metrics["out_of_scope_examples"] == 2
    answers = loaded.answers([row["text"] for row in ROWS])
    doubt = 1 - answers["probabilities"].max(-1)
    assert metrics["out_of_scope_auroc"] == pytest.approx(roc_auc_score([0, 0, 0, 1, 1], doubt))
    assert 0 <= metrics["out_of_scope_auroc_energy"] <= 1
    abstaining = load(classifier, abstain_below=1.0).evaluate(ROWS, out_of_scope_label="oos")
    assert abstaining["out_of_scope_abstained"] == 1


def test_the_energy_is_that_of_the_logits(classifier):
    import tensorflow as tf

    loaded = load(classifier)
    texts = tf.constant(["the cat sat", "a dog"])
    energy = energy_function(loaded.text_model)(texts)["energy"].numpy()
    logits = loaded.text_model.outputs(loaded.task.encode(loaded.text_model.encode, {"text": texts}))["logits"]
    np.testing.assert_allclose(energy, -np.log(np.exp(logits).sum(-1)), rtol=1e-5)


@pytest.mark.long
def test_a_model_with_a_class_for_them_is_measured_by_its_probability(classifier):
    loaded = load(classifier)
    rows = [{**row, "label": row["label"].replace("oos", "bad")} for row in ROWS]
    metrics = loaded.evaluate(rows, out_of_scope_label="bad")
    assert metrics["examples"] == 5
    column = loaded.answers([row["text"] for row in rows])["probabilities"][:, 0]
    assert metrics["out_of_scope_auroc"] == pytest.approx(roc_auc_score([0, 1, 0, 1, 1], column))
    assert "out_of_scope_auroc_energy" not in metrics


def test_what_is_refused(tmp_path, classifier, make_task_model):
    with pytest.raises(UsageError, match=r"Received: 0 of 3 examples with the label 'oos'$"):
        load(classifier).evaluate(ROWS[:3], out_of_scope_label="oos")
    regression = load(make_task_model(tmp_path / "run", RegressionTask()))
    with pytest.raises(UsageError, match=r"^an out-of-scope label is for classification\. Received: a model for regr"):
        regression.evaluate([{"text": "a", "label": 1.0}], out_of_scope_label="oos")
