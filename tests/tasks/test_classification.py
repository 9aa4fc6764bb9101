import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn_metrics

from kbert.errors import BundleError, DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import as_table
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.factories import task_class, task_from_bundle
from kbert.tasks.text_task import Example
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer


def labelled(*labels):
    return [Example("text", None, label, line) for line, label in enumerate(labels, start=2)]


# === Reading ===


def test_examples_have_the_lines_of_their_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('stars,a,b\n5,"one\ntwo",x\n1,three,y\n')
    columns = {"text": "a", "pair": "b", "label": "stars"}
    assert ClassificationTask.read_examples(path, columns) == [
        Example("one\ntwo", "x", "5", 2),
        Example("three", "y", "1", 4),
    ]
    assert ClassificationTask.read_examples(path, {"text": "a"}, targets=False) == [
        Example("one\ntwo", None, None, 2),
        Example("three", None, None, 4),
    ]


def test_spaces_around_a_label_make_no_other(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\none,a\ntwo, a \nthree,b\n")
    assert [example.target for example in ClassificationTask.read_examples(path)] == ["a", "a", "b"]
    path.write_text("text,label\none,  \n")
    with pytest.raises(DataError, match=r"a\.csv:2: expected a label\. Received an empty one$"):
        ClassificationTask.read_examples(path)


def test_booleans_are_one_label(tmp_path):
    rows = [{"text": "x", "label": value} for value in (True, "True", "true", "TRUE", False, "false")]
    examples = ClassificationTask.read_examples(as_table(rows, "train"))
    assert [example.target for example in examples] == ["True"] * 4 + ["False"] * 2
    task = ClassificationTask(["false", "true"])  # as a model may have been trained
    assert [task.check_example(example).target for example in examples] == ["true"] * 4 + ["false"] * 2


def test_lists_of_one_label(tmp_path):
    """doccano writes labels of texts so."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "label": ["a"]}\n{"text": "y", "label": [2.0]}\n')
    assert [example.target for example in ClassificationTask.read_examples(path)] == ["a", "2"]
    path.write_text('{"text": "x", "label": ["a", "b"]}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:1: expected one label\. Received 2: a, b$"):
        ClassificationTask.read_examples(path)
    path.write_text('{"text": "x", "label": []}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:1: expected one label\. Received 0: $"):
        ClassificationTask.read_examples(path)


def test_equal_numbers_are_one_label(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text("text,label\nu,0\nv,0.0\nw,1\nx,1.00\ny,+1\nz,007\n")
    examples = ClassificationTask.read_examples(path)
    assert [example.target for example in examples] == ["0", "0", "1", "1", "1", "007"]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: 3 labels are other spellings of an earlier label (0.0 is 0, true is True) (first: {path}:3)"
    )
    rows = [{"text": "x", "label": value} for value in (0, 0.0, "0", 2.5)]
    assert [example.target for example in ClassificationTask.read_examples(as_table(rows, "train"))] == [
        "0",
        "0",
        "0",
        "2.5",
    ]
    # Models of others have labels in any spelling.
    task = ClassificationTask(["0.0", "1.0"])
    assert [example.target for example in task.keep_valid(labelled("1", "0"), "a.csv")] == ["1.0", "0.0"]


@pytest.mark.parametrize("label", ["nan", "NaN", "NA", "N/A", "null", "NULL", "None", "<NA>", "#N/A", " nan "])
def test_missing_labels(tmp_path, label):
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\nx,a\ny,{label}\nz,b\n")
    with pytest.raises(
        DataError, match=r"a\.csv:3: expected a label\. Received '.*', which stands for a missing value"
    ):
        ClassificationTask.read_examples(path)
    assert [example.target for example in ClassificationTask.read_examples(path, bad=BadRows(1))] == ["a", "b"]
    kept = ClassificationTask.read_examples(path, options={"missing_labels": "empty"})
    assert [example.target for example in kept] == ["a", label.strip(), "b"]


def test_equal_texts_are_one_group():
    task = ClassificationTask(["a", "b"])
    groups = [
        task.group(Example(text, pair, "a")) for text, pair in (("A  cat", None), ("a cat ", None), ("a cat", "x"))
    ]
    assert groups[0] == groups[1] != groups[2]


def test_a_file_without_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n")
    with pytest.raises(DataError, match=r"a\.csv: expected rows of text\. There are none$"):
        ClassificationTask.read_examples(path)
    path.write_text("text,label\n,a\n")
    message = r"a\.csv: expected rows of text\. There are none: 1 bad row was skipped; the first: .*:2: expected a text"
    with pytest.raises(DataError, match=message):
        ClassificationTask.read_examples(path, bad=BadRows(1))
    with pytest.raises(DataError, match=r"^dev\.csv: expected rows of text\. There are none: 1 bad row was .*'c'$"):
        ClassificationTask(["a", "b"]).keep_valid(labelled("c"), "dev.csv", BadRows(5))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["pos", "neg", "pos", "neutral"], ["neg", "neutral", "pos"]),
        (["10", "9", "-1", "9"], ["-1", "9", "10"]),
        (["1.5", "1", "01"], ["01", "1", "1.5"]),
        (["10", "9", "many"], ["10", "9", "many"]),
        (["3", "nan", "1", "2"], ["1", "2", "3", "nan"]),
        (["10", "inf", "9"], ["10", "9", "inf"]),
    ],
)
def test_labels_are_sorted_as_numbers_if_all_are(labels, expected):
    assert ClassificationTask.from_examples(labelled(*labels), "a.csv").labels == expected
    assert ClassificationTask.from_examples(labelled(*labels[::-1]), "a.csv").labels == expected


def test_an_empty_label():
    with pytest.raises(DataError, match=r"^a\.csv:4: expected a label\. Received an empty one$"):
        ClassificationTask.from_examples(labelled("x", "y", "", ""), "a.csv")


def test_a_single_label():
    with pytest.raises(DataError, match=r"^a\.csv: expected at least two labels\. Received 'x' alone$"):
        ClassificationTask.from_examples(labelled("x", "x"), "a.csv")


def test_pairs_make_a_task_of_pairs():
    examples = [Example("a", "b", "0", 1), Example("a", "b", "1", 2)]
    assert ClassificationTask.from_examples(examples, "a.csv").paired is True
    assert ClassificationTask.from_examples(labelled("0", "1"), "a.csv").paired is False


def test_targets(vocabulary):
    encode = GraphEncoder(Tokenizer(vocabulary).to_graph(), 8)
    rows = ClassificationTask(["a", "b", "c"]).training_rows(labelled("c", "a", "c"), encode)
    assert len(rows) == 3
    assert rows.targets.keys() == {"labels"}
    assert rows.targets["labels"].dtype == np.int32
    assert rows.targets["labels"].tolist() == [2, 0, 2]
    assert rows.ids.values.tolist() == [2, 1, 3] * 3


@pytest.mark.parametrize("label", ["d", "", None])
def test_a_label_that_training_never_saw(label):
    with pytest.raises(
        DataError,
        match=rf"^dev\.csv:3: expected one of the labels seen in training \(a, b\)\. Received {label!r}$",
    ):
        ClassificationTask(["a", "b"]).keep_valid(labelled("a", label), "dev.csv")


@pytest.fixture
def bundle_of(small_config, vocabulary):
    def make(settings, architecture="BertForPreTraining", tensors=None, **foreign_config):
        return Bundle(small_config, Tokenizer(vocabulary), tensors or {}, architecture, settings, foreign_config)

    return make


def test_settings_round_trip(bundle_of):
    task = ClassificationTask(["no", "yes"], paired=True)
    settings = json.loads(json.dumps(task.settings()))
    saved = {"name": "classification", "labels": ["no", "yes"], "paired": True}
    assert settings == saved | {"class_weights": {}, "label_smoothing": 0.0}
    # Bundles of before have no more than that.
    assert task_from_bundle(bundle_of({"task": saved}), "folder").settings() == settings
    again = task_from_bundle(bundle_of({"task": settings}), "folder")
    assert isinstance(again, ClassificationTask)
    assert again.settings() == settings
    assert again.keep_valid(labelled("yes"), "x") == labelled("yes")


def test_settings_that_cannot_be(bundle_of):
    with pytest.raises(BundleError, match=r"^folder is not for any task \(BertForNextSentencePrediction\); "):
        task_from_bundle(bundle_of({}, "BertForNextSentencePrediction"), "folder")
    for values, problem in (
        ({"labels": ["a", "b"]}, r"'paired'"),
        ({"labels": "ab", "paired": False}, r"labels must be a list of strings\. Received: 'ab'"),
        ({"labels": ["a", 1], "paired": False}, r"labels must be a list of strings\. Received: \['a', 1\]"),
        ({"labels": ["a"], "paired": False}, r"labels must be two or more\. Received: 1"),
        ({"labels": ["a", "a"], "paired": False}, r"labels must have different names\. Received: 'a' twice"),
        ({"labels": ["a", "b"], "paired": "no"}, r"paired must be true or false\. Received: 'no'"),
    ):
        settings = {"task": {"name": "classification", **values}}
        with pytest.raises(BundleError, match=rf"^folder: the task in kbert\.json cannot be used \({problem}\)$"):
            task_from_bundle(bundle_of(settings), "folder")
    for damaged in ({"task": "classification"}, {"task": {"name": "sorting"}}, {"task": {"labels": []}}):
        with pytest.raises(BundleError, match=r"^folder: the task in kbert\.json cannot be used \("):
            task_from_bundle(bundle_of(damaged), "folder")
    with pytest.raises(UsageError, match=r"^there is no task 'sorting'; there are: classification, "):
        task_class("sorting")


def test_what_kbert_json_says_of_pairs_holds(bundle_of):
    bundle = bundle_of({"task": ClassificationTask(["a", "b"], paired=True).settings()})
    assert task_from_bundle(bundle, "folder", paired=True).paired
    with pytest.raises(UsageError, match=r"^folder reads pairs of texts$"):
        task_from_bundle(bundle, "folder", paired=False)


def test_foreign_config_names_the_classes_for_transformers():
    assert ClassificationTask(["no", "yes"]).foreign_config() == {
        "id2label": {"0": "no", "1": "yes"},
        "label2id": {"no": 0, "yes": 1},
        "problem_type": "single_label_classification",
    }


# === Model ===


def test_the_model_puts_a_head_on_the_pooled_output(small_config):
    task = ClassificationTask(["a", "b", "c"])
    model = task.build(BertEncoder(small_config))
    batch = {
        "input_word_ids": np.array([[2, 7, 3]], np.int32),
        "input_mask": np.ones((1, 3), np.int32),
        "input_type_ids": np.zeros((1, 3), np.int32),
    }
    logits = model(batch)["logits"]
    assert logits.shape == (1, 3)
    np.testing.assert_allclose(logits, model.head(model.encoder(batch)["pooled_output"]), atol=1e-6)
    names = list(task.bindings(model))
    assert names[-2:] == ["classifier.weight", "classifier.bias"]
    assert len(names) == 5 + 2 * 16 + 2 + 2
    assert task.bindings(model)["classifier.weight"].shape == (3, 32)


def test_loss_and_accuracy_are_sums_over_examples():
    task = ClassificationTask(["a", "b"])
    outputs = {"logits": tf.constant([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]])}
    batch = {"labels": tf.constant([0, 1, 1], tf.int32)}
    loss_sums, loss_weights = task.loss_sums(outputs, batch), task.loss_weights(batch)
    expected = np.log1p(np.exp(-2)) + np.log1p(np.exp(-1)) + np.log1p(np.exp(2))
    assert float(loss_sums["cross_entropy"]) == pytest.approx(expected, rel=1e-6)
    assert float(loss_sums["accuracy"]) == 2
    assert {name: float(value) for name, value in loss_weights.items()} == {
        "cross_entropy": 3,
        "accuracy": 3,
    }


# === Answers ===


def test_answers():
    task = ClassificationTask(["ä", "b"])
    answers = task.served_answers({"logits": tf.constant([[0.0, np.log(3)], [1.0, 1.0]])}, {})
    assert [label.decode() for label in answers["label"].numpy()] == ["b", "ä"]
    assert [[label.decode() for label in row] for row in answers["classes"].numpy()] == [["ä", "b"]] * 2
    np.testing.assert_allclose(answers["probabilities"], [[0.25, 0.75], [0.5, 0.5]], atol=1e-6)
    row = task.readable_answer({name: values.numpy()[0] for name, values in answers.items()})
    assert row["label"] == "b"
    assert row["probabilities"] == pytest.approx({"ä": 0.25, "b": 0.75})
    json.dumps(row)


def test_metrics_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    task = ClassificationTask(["a", "b", "c", "d", "never"])
    labels = rng.integers(0, 4, 200)
    probabilities = rng.dirichlet(np.ones(4), 200)
    probabilities[:, 3] /= 10  # rarely predicted
    probabilities = np.concatenate([probabilities, np.zeros((200, 1))], 1)
    probabilities /= probabilities.sum(-1, keepdims=True)
    predicted = probabilities.argmax(-1)
    result = task.evaluate(labelled(*(task.labels[label] for label in labels)), {"probabilities": probabilities})
    json.dumps(result)
    assert result["examples"] == 200
    assert result["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert result["f1"] == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average="macro"))
    assert result["mcc"] == pytest.approx(sklearn_metrics.matthews_corrcoef(labels, predicted))
    assert result["cross_entropy"] == pytest.approx(
        sklearn_metrics.log_loss(labels, probabilities[:, :4], labels=range(4)), rel=1e-6
    )
    assert result["confusion_matrix"] == (sklearn_metrics.confusion_matrix(labels, predicted, labels=range(5)).tolist())
    report = sklearn_metrics.classification_report(
        labels, predicted, labels=range(5), target_names=task.labels, output_dict=True, zero_division=0
    )
    for label in task.labels:
        scores = result["per_class"][label]
        assert scores["precision"] == pytest.approx(report[label]["precision"])
        assert scores["recall"] == pytest.approx(report[label]["recall"])
        assert scores["f1"] == pytest.approx(report[label]["f1-score"])
        assert scores["support"] == report[label]["support"]
    assert result["labels"] == task.labels


def test_metrics_by_hand():
    task = ClassificationTask(["a", "b"])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    result = task.evaluate(labelled("a", "a", "b", "b"), {"probabilities": probabilities})
    assert result["accuracy"] == 0.75
    assert result["f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert result["cross_entropy"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())
    assert result["confusion_matrix"] == [[1, 1], [0, 2]]


def test_a_probability_of_zero_is_no_infinite_loss():
    result = ClassificationTask(["a", "b"]).evaluate(
        labelled("a"), {"probabilities": np.array([[0.0, 1.0]], np.float32)}
    )
    assert result["cross_entropy"] == pytest.approx(69.08, abs=0.01)
    assert result["accuracy"] == 0


@pytest.mark.parametrize("cases", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_metrics_of_random_cases_equal_those_of_scikit_learn(cases):
    rng = np.random.default_rng(0)
    task = ClassificationTask(["a", "b", "c"])
    for _ in range(cases):
        count = rng.integers(1, 15)
        labels = rng.integers(0, 3, count)
        probabilities = rng.dirichlet(np.ones(3), count)
        predicted = probabilities.argmax(-1)
        result = task.evaluate(labelled(*(task.labels[label] for label in labels)), {"probabilities": probabilities})
        assert result["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted), abs=1e-9)
        expected = sklearn_metrics.f1_score(labels, predicted, average="macro", zero_division=0)
        assert result["f1"] == pytest.approx(expected, abs=1e-9)
        expected = sklearn_metrics.log_loss(labels, probabilities, labels=range(3))
        assert result["cross_entropy"] == pytest.approx(expected, abs=1e-9)


def test_the_worst_examples_are_the_surest_wrong_ones():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    result = ClassificationTask(["a", "b"]).evaluate(labelled("b", "b", "b", "a"), {"probabilities": probabilities})
    assert [row["line"] for row in result["worst_examples"]] == [2, 5, 3]
    assert result["worst_examples"][0] == {
        "line": 2,
        "text": "text",
        "expected": "b",
        "expected_probability": 0.1,
        "predicted": "a",
        "predicted_probability": 0.9,
    }
    assert [row["examples"] for row in result["reliability"]] == [1, 1, 1, 1]
    assert result["calibration_error"] == pytest.approx((0.9 + 0.6 + 0.2 + 0.7) / 4)


# === Loss ===


@pytest.mark.parametrize(
    ("weights", "smoothing"), [({}, 0.0), ({"b": 3.0}, 0.0), ({}, 0.1), ({"a": 0.5, "c": 2.0}, 0.2)]
)
def test_weights_and_smoothing_are_those_of_the_definition(weights, smoothing):
    """Σ over examples of Σ over classes of weight · target · -log p, divided by the weights of the true classes."""
    task = ClassificationTask(["a", "b", "c"], class_weights=weights, label_smoothing=smoothing)
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 3)), np.array([0, 1, 2, 1, 0])
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    targets = np.eye(3)[labels] * (1 - smoothing) + smoothing / 3
    by_class = np.array([weights.get(label, 1.0) for label in "abc"])
    batch = {"labels": tf.constant(labels, tf.int32)}
    loss_sums = task.loss_sums({"logits": tf.constant(logits, tf.float32)}, batch)
    assert float(loss_sums["cross_entropy"]) == pytest.approx(-(by_class * targets * log_p).sum(), rel=1e-5)
    loss_weights = task.loss_weights(batch)
    assert float(loss_weights["cross_entropy"]) == pytest.approx(by_class[labels].sum())
    assert float(loss_weights["accuracy"]) == 5


def test_balanced_weights_come_from_the_training_examples():
    examples = labelled("a", "b", "b", "b")
    task = ClassificationTask.from_examples(examples, "a.csv", {"class_weights": "balanced", "label_smoothing": 0.1})
    assert task.class_weights == {"a": 2.0, "b": pytest.approx(2 / 3)}
    settings = json.loads(json.dumps(task.settings()))
    assert settings["label_smoothing"] == 0.1
    assert ClassificationTask.from_settings(settings).settings() == settings
    with pytest.raises(UsageError, match=r"^label_smoothing must be at least 0 and below 1\. Received: label_smoo"):
        ClassificationTask.from_examples(examples, "a.csv", {"label_smoothing": 1.0})
