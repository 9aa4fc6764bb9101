import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn_metrics

from kbert.errors import DataError, UsageError
from kbert.sources.bad_rows import BadRows
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.text_task import Example
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer


def labelled(*targets):
    return [Example("text", None, target, line) for line, target in enumerate(targets, start=2)]


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write


# === Reading ===


def test_a_column_with_a_separator(write):
    path = write("a.csv", "text,label\nHeat,Action|Crime\nShow, Comedy | Comedy\nNone,\n".replace("Show, ", "Show,"))
    assert [example.target for example in MultilabelTask.read_examples(path)] == [("Action", "Crime"), ("Comedy",), ()]
    path = write("b.tsv", "text\tlabel\nx\tja, nein\n")
    options = {"label_separator": ","}
    assert MultilabelTask.read_examples(path, options=options) == [Example("x", None, ("ja", "nein"), 2)]


def test_lists_of_json_lines(write):
    path = write(
        "a.jsonl", '{"text": "x", "label": ["a|b", 2]}\n{"text": "y", "label": []}\n{"text": "z", "label": "c"}\n'
    )
    assert [example.target for example in MultilabelTask.read_examples(path)] == [("a|b", "2"), (), ("c",)]


def test_lists_in_cells(write):
    path = write("a.csv", 'text,label\nx,"[\'joy\', \'love\']"\ny,[]\nz,"[""joy""]"\n')
    assert [example.target for example in MultilabelTask.read_examples(path)] == [("joy", "love"), (), ("joy",)]


@pytest.mark.parametrize(
    "rows", [[[0, 1, 1], [1, 0, 0]], [[0.0, 1.0, 1.0], [1, 0, 0]], ["[0 1 1]", "[1, 0, 0]"], ["0|1|1", "1|0|0"],
     ["0,1,1", "1,0,0"], ["0 1 1", "1 0 0"], ["0; 1.0; 1", "1; 0; 0.0"], [[False, True, True], [True, False, False]]],
)  # fmt: skip
def test_vectors_of_0_and_1(write, rows):
    path = write("a.jsonl", "".join(json.dumps({"text": "x", "label": row}) + "\n" for row in rows))
    examples = MultilabelTask.read_examples(path)
    assert [example.target for example in examples] == [("1", "2"), ("0",)]
    task = MultilabelTask.from_examples(examples, path)
    assert task.labels == ["0", "1", "2"]
    assert task.keep_valid(examples, path) == examples
    other = MultilabelTask.read_examples(write("b.jsonl", '{"text": "x", "label": [1, 0, 0, 1]}'))
    with pytest.raises(
        DataError, match=r"expected a vector of 3 numbers 0 and 1, as in training\. Received 4 numbers$"
    ):
        task.keep_valid(other, path)


def test_objects_of_labels(write):
    rows = [{"joy": 1, "love": 0, "fear": 1}, {"joy": False, "love": True, "fear": False}, {"joy": 0}]
    path = write("a.jsonl", "".join(json.dumps({"text": "x", "label": row}) + "\n" for row in rows))
    assert [example.target for example in MultilabelTask.read_examples(path)] == [("joy", "fear"), ("love",), ()]
    path = write("b.jsonl", json.dumps({"text": "x", "label": {"joy": "much"}}))
    with pytest.raises(DataError, match=r"b\.jsonl:1: 'label' must be text, a number, or a list of them\. Received: {"):
        MultilabelTask.read_examples(path)


def test_labels_that_are_no_vectors(write):
    path = write("a.csv", "text,label\nx,0 1\ny,2 1\n")
    assert [example.target for example in MultilabelTask.read_examples(path)] == [("0 1",), ("2 1",)]


def test_a_label_that_no_row_has_is_one_too(write):
    path = write("a.jsonl", "".join(f'{{"text": "x", "label": [{row}, 0]}}\n' for row in ("1, 0", "0, 1")))
    assert MultilabelTask.from_examples(MultilabelTask.read_examples(path), path).labels == ["0", "1", "2"]
    path = write("b.jsonl", "".join(f'{{"text": "x", "label": [{row}]}}\n' for row in ("1, 0, 0", "0, 1", "0, 0, 1")))
    with pytest.raises(DataError, match=r"b\.jsonl:2: expected a vector of 3 numbers 0 and 1, as in most rows\. Rece"):
        MultilabelTask.read_examples(path)


def test_another_separator_is_told(write, caplog):
    path = write("a.tsv", "text\tlabel\nx\tjoy, love\ny\tjoy\n")
    assert MultilabelTask.read_examples(path)[0].target == ("joy, love",)
    (record,) = caplog.records
    assert "1 of 2 labels have ',' in them, such as 'joy, love'" in record.getMessage()
    assert "--label-separator ','" in record.getMessage()
    caplog.clear()
    assert MultilabelTask.read_examples(path, options={"label_separator": ","})[0].target == ("joy", "love")
    assert not caplog.records


def test_missing_labels(write):
    path = write("a.tsv", "text\tlabel\nx\tnan\n")
    with pytest.raises(DataError, match=r"a\.tsv:2: expected a label\. Received 'nan', which stands for a missing"):
        MultilabelTask.read_examples(path)


def test_a_column_a_label(write):
    path = write("a.csv", "text,toxic,rude,kind\nx,1,0,0\ny,0,0,0\nz,1.0,true,\n")
    options = {"label_columns": "toxic,rude,kind"}
    examples = MultilabelTask.read_examples(path, options=options)
    assert [example.target for example in examples] == [("toxic",), (), ("toxic", "rude")]
    task = MultilabelTask.from_examples(examples, path, options)
    assert task.labels == ["toxic", "rude", "kind"]
    with pytest.raises(DataError, match=r"there is no column 'mean'; .*\. Name another with --label-columns, or "):
        MultilabelTask.read_examples(path, options={"label_columns": "toxic,mean"})
    # Texts alone need no columns of labels.
    texts = write("b.csv", "text\nx\n")
    assert MultilabelTask.read_examples(texts, options=options, targets=False) == [Example("x", None, None, 2)]


def test_label_columns_must_differ(write):
    path = write("a.csv", "text,a\nx,1\n")
    options = {"label_columns": "a,a"}
    with pytest.raises(UsageError, match=r"^label_columns must be columns that differ\. Received: a,a$"):
        MultilabelTask.from_examples(MultilabelTask.read_examples(path, options=options), path, options)


def test_one_label_column(write):
    path = write("a.csv", "text,toxic\nx,1\ny,0\n")
    assert [e.target for e in MultilabelTask.read_examples(path, options={"label_columns": "toxic"})] == [
        ("toxic",),
        (),
    ]


def test_numbered_label_columns(write):
    path = write("a.csv", "x,1,0\ny,0,1\n")
    options = {"label_columns": "2-3"}
    examples = MultilabelTask.read_examples(path, {"text": "1"}, options=options)
    assert [example.target for example in examples] == [("2",), ("3",)]
    assert MultilabelTask.from_examples(examples, path, options).labels == ["2", "3"]


def test_keys_that_are_numbers(write):
    path = write("a.jsonl", '{"text": "x", "0": 1, "1": 0}\n')
    assert MultilabelTask.read_examples(path, options={"label_columns": "0,1"})[0].target == ("0",)


def test_a_list_is_no_column_of_labels(write):
    path = write("a.jsonl", '{"text": "x", "a": ["1"], "b": "1"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:1: expected 0 or 1 in each of the columns a, b\. Received 1 val"):
        MultilabelTask.read_examples(path, options={"label_columns": "a,b"})


def test_rows_of_another_width(write):
    path = write("a.csv", "text,label\nHeat,Action\nAlone\n")
    with pytest.raises(DataError, match=r"a\.csv:3: expected at least 2 columns\. Received 1$"):
        MultilabelTask.read_examples(path)
    path = write("b.csv", "1,Heat,Action\n2,Good, The,Drama\n")
    with pytest.raises(DataError, match=r"b\.csv:2: expected 3 columns, as in the first row\. Received 4; a text with"):
        MultilabelTask.read_examples(path, {"text": "2", "label": "3"})


def test_rows_that_cannot_be(write):
    path = write("a.csv", "text,a,b\nx,1,0\n,0,1\ny,2,0\n")
    options = {"label_columns": "a,b"}
    with pytest.raises(DataError, match=r"a\.csv:3: expected a text\. Received an empty one$"):
        MultilabelTask.read_examples(path, options=options)
    with pytest.raises(DataError, match=r"a\.csv:4: expected 0 or 1 in the column 'a'\. Received '2' \(after 1 bad "):
        MultilabelTask.read_examples(path, options=options, bad=BadRows(1))
    bad = BadRows(2)
    assert len(MultilabelTask.read_examples(path, options=options, bad=bad)) == 1
    assert bad.summary == (
        f"2 bad rows were skipped; the first: {path}:3: expected a text. Received an empty one; the next: {path}:4"
    )


def test_labels_are_discovered():
    task = MultilabelTask.from_examples(labelled(("b", "c"), (), ("a",)), "a.csv")
    assert task.labels == ["a", "b", "c"]
    assert task.thresholds == [0.5, 0.5, 0.5]
    with pytest.raises(DataError, match=r"^a\.csv: expected labels\. No row has any$"):
        MultilabelTask.from_examples(labelled((), ()), "a.csv")


def test_a_label_that_training_never_saw():
    task = MultilabelTask(["a", "b"])
    examples = labelled(("a",), ("b", "x"), ())
    with pytest.raises(DataError, match=r"^dev\.csv:3: expected labels seen in training \(a, b\)\. Received 'x'$"):
        task.keep_valid(examples, "dev.csv")
    assert task.keep_valid(examples, "dev.csv", BadRows(1)) == [examples[0], examples[2]]


def test_settings_round_trip():
    task = MultilabelTask(["好", "b"], True, [0.25, 0.5], {"b": 2.0})
    settings = json.loads(json.dumps(task.settings()))
    assert settings == {
        "name": "multilabel",
        "labels": ["好", "b"],
        "thresholds": [0.25, 0.5],
        "paired": True,
        "class_weights": {"b": 2.0},
    }
    assert MultilabelTask.from_settings(settings).settings() == settings
    assert MultilabelTask.from_settings(settings).paired
    with pytest.raises(ValueError, match=r"^thresholds must be as many as labels\. Received: 1, 2$"):
        MultilabelTask.from_settings(settings | {"thresholds": [0.5]})


def test_class_weights():
    examples = labelled(("a", "b"), ("a",), ("a",), ())
    balanced = MultilabelTask.from_examples(examples, "a.csv", {"class_weights": "balanced"})
    assert balanced.class_weights == {"a": pytest.approx(1 / 3), "b": 3.0}
    named = MultilabelTask.from_examples(examples, "a.csv", {"class_weights": "b=4"})
    assert named.class_weights == {"a": 1.0, "b": 4.0}
    with pytest.raises(UsageError, match=r"^class_weights must name labels \(a, b\)\. Received: 'c'$"):
        MultilabelTask.from_examples(examples, "a.csv", {"class_weights": "c=4"})


# === Training ===


def test_targets(vocabulary):
    encode = GraphEncoder(Tokenizer(vocabulary).to_graph(), 8)
    rows = MultilabelTask(["a", "b", "c"]).training_rows(labelled(("c", "a"), ()), encode)
    assert rows.targets["labels"].dtype == np.float32
    assert rows.targets["labels"].tolist() == [[1, 0, 1], [0, 0, 0]]


def test_the_loss_is_a_mean_over_decisions():
    task = MultilabelTask(["a", "b"], class_weights={"b": 3.0})
    outputs = {"logits": tf.constant([[2.0, -1.0], [0.5, 1.0]])}
    batch = {"labels": tf.constant([[1.0, 1.0], [0.0, 0.0]])}
    expected = np.log1p(np.exp(-2)) + 3 * np.log1p(np.exp(1)) + np.log1p(np.exp(0.5)) + np.log1p(np.exp(1))
    loss_sums, loss_weights = task.loss_sums(outputs, batch), task.loss_weights(batch)
    assert float(loss_sums["cross_entropy"]) == pytest.approx(expected, rel=1e-6)
    assert float(loss_sums["label_accuracy"]) == 1
    assert float(loss_weights["cross_entropy"]) == float(loss_weights["label_accuracy"]) == 4


# === Answers ===


def test_answers():
    task = MultilabelTask(["ä", "b", "c"], thresholds=[0.2, 0.5, 0.9])
    probabilities = np.array([[0.25, 0.75, 0.5], [0.1, 0.2, 0.3], [0.3, 0.4, 0.95]])
    answers = task.served_answers({"logits": tf.constant(np.log(probabilities / (1 - probabilities)), tf.float32)}, {})
    arrays = {name: value.numpy() for name, value in answers.items()}
    assert arrays["labels"].tolist() == [["ä".encode(), b"b"], [b"", b""], ["ä".encode(), b"c"]]
    assert arrays["count"].tolist() == [2, 0, 2]
    np.testing.assert_allclose(arrays["probabilities"], probabilities, atol=1e-6)
    rows = [task.readable_answer({name: values[row] for name, values in arrays.items()}) for row in range(3)]
    assert [row["labels"] for row in rows] == [["ä", "b"], [], ["ä", "c"]]
    assert rows[1]["probabilities"] == pytest.approx({"ä": 0.1, "b": 0.2, "c": 0.3})
    assert task.text_line({"text": "film", **rows[0]}) == "ä|b\tfilm"


def test_thresholds_are_tuned_on_examples():
    task = MultilabelTask(["a", "b"])
    probabilities = np.array([[0.1, 0.6], [0.3, 0.7], [0.2, 0.9]], np.float32)
    examples = labelled((), ("a",), ("a", "b"))
    answers = {"probabilities": probabilities}
    assert task.evaluate(examples, answers)["f1_micro"] == pytest.approx(1 / 3)
    tuned = task.with_tuned_thresholds(examples, answers)
    assert tuned.thresholds == pytest.approx([0.15, 0.15])
    assert tuned.evaluate(examples, answers)["f1_micro"] == pytest.approx(0.75)
    tuned = task.with_main_metric("f1_macro").with_tuned_thresholds(examples, answers)
    assert tuned.thresholds == pytest.approx([0.15, 0.8])
    assert tuned.main_metric == "f1_macro"
    assert tuned.evaluate(examples, answers)["f1_macro"] == 1.0


@pytest.mark.parametrize("cases", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_metrics_equal_those_of_scikit_learn(cases):
    rng = np.random.default_rng(0)
    task = MultilabelTask(["a", "b", "c"], thresholds=[0.25, 0.5, 0.75])
    for _ in range(cases):
        count = rng.integers(1, 12)
        truth = rng.random((count, 3)) < 0.4
        probabilities = rng.random((count, 3)).astype(np.float32)
        examples = labelled(*(tuple(np.array(task.labels)[row]) for row in truth))
        result = task.evaluate(examples, {"probabilities": probabilities})
        given = probabilities >= np.array([0.25, 0.5, 0.75])
        for average in ("micro", "macro"):
            expected = sklearn_metrics.f1_score(truth, given, average=average, zero_division=0)
            assert result[f"f1_{average}"] == pytest.approx(expected, abs=1e-9)
        assert result["subset_accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(truth, given), abs=1e-9)
        assert result["hamming_loss"] == pytest.approx(sklearn_metrics.hamming_loss(truth, given), abs=1e-9)
        assert result["per_class"]["b"]["recall"] == pytest.approx(
            sklearn_metrics.recall_score(truth[:, 1], given[:, 1], zero_division=0), abs=1e-9
        )
    json.dumps(result)


def test_a_single_label_is_measured_alone():
    task = MultilabelTask(["toxic"])
    examples = labelled(("toxic",), (), (), ())
    result = task.evaluate(examples, {"probabilities": np.array([[0.9], [0.8], [0.1], [0.1]], np.float32)})
    assert result["f1_micro"] == result["f1_macro"] == pytest.approx(2 / 3)
    assert result["per_class"]["toxic"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
        "threshold": 0.5,
    }
    assert task.evaluate(examples, {"probabilities": np.zeros((4, 1), np.float32)})["f1_micro"] == 0


def test_the_worst_examples():
    task = MultilabelTask(["a", "b"])
    examples = labelled(("a",), ("b",), ())
    probabilities = np.array([[0.9, 0.1], [0.8, 0.1], [0.6, 0.1]], np.float32)
    worst = task.evaluate(examples, {"probabilities": probabilities})["worst_examples"]
    assert worst == [
        {"line": 3, "text": "text", "expected": ["b"], "predicted": ["a"]},
        {"line": 4, "text": "text", "expected": [], "predicted": ["a"]},
    ]
