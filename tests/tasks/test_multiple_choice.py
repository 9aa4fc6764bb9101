import json

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import DataError
from kbert.models.encoder import BertEncoder
from kbert.prediction.predictor import Predictor
from kbert.sources.bad_rows import BadRows
from kbert.tasks.multiple_choice import ChoiceExample, MultipleChoiceTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.data.batches import LengthBucketedBatches


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write


# === Reading ===


def test_a_table_without_a_header(write):
    path = write("a.tsv", "o\tI am\thot.\tcold.\t1\no\tHe is\twell.\t\t0\n".replace("well.\t\t", "well.\till.\t"))
    columns = {"prompt": "2", "choices": "3-4", "label": "5"}
    examples = MultipleChoiceTask.read_examples(path, columns)
    assert examples == [
        ChoiceExample("I am", ("hot.", "cold."), "1", 1),
        ChoiceExample("He is", ("well.", "ill."), "0", 2),
    ]
    task = MultipleChoiceTask.from_examples(examples, path)
    assert task.label_format == "0"
    assert [example.target for example in task.keep_valid(examples, path)] == [1, 0]


def test_choices_that_differ_in_number(write):
    path = write("a.csv", "answer,prompt,a,b,c\nB,x,one,two,\nC,y,one,two,three\nA,z,one,two\n")
    columns = {"prompt": "prompt", "choices": "a,b,c", "label": "answer"}
    examples = MultipleChoiceTask.read_examples(path, columns)
    assert [example.choices for example in examples] == [("one", "two"), ("one", "two", "three"), ("one", "two")]
    task = MultipleChoiceTask.from_examples(examples, path)
    assert task.label_format == "letter"
    assert [example.target for example in task.keep_valid(examples, path)] == [1, 2, 0]


def test_json_lines(write):
    path = write("a.jsonl", '{"prompt": "x", "choices": ["one", "two"], "label": "two"}\n')
    examples = MultipleChoiceTask.read_examples(path)
    task = MultipleChoiceTask.from_examples(examples, path)
    assert (task.label_format, task.keep_valid(examples, path)[0].target) == ("text", 1)
    texts = write("b.jsonl", '{"prompt": "x", "choices": ["one", "two"]}\n')
    assert MultipleChoiceTask.read_examples(texts, targets=False) == [ChoiceExample("x", ("one", "two"), None, 1)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('"choices": ["one"], "label": 0', r"expected two or more choices\. Received 1$"),
        ('"choices": "one", "label": 0', r"expected two or more choices\. Received 1$"),
        ('"choices": ["one", "", "two"], "label": 0', r"expected a text as choice 2 of 3\. Received an empty one$"),
        ('"prompt": " ", "choices": ["one", "two"], "label": 0', r"expected a prompt\. Received an empty one$"),
        ('"choices": ["one", "two"], "label": ""', r"expected a label\. Received an empty one$"),
        ('"choices": ["one", "two"]', r"there is no key 'label'; the object has 'prompt', 'choices'$"),
        ('"choices": [["one"]], "label": 0', r"'choices' must be text, a number, or a list of them\. Received: "),
    ],
)
def test_rows_that_cannot_be(write, row, message):
    row = row if '"prompt"' in row else f'"prompt": "y", {row}'
    path = write("a.jsonl", f'{{"prompt": "x", "choices": ["one", "two"], "label": 0}}\n{{{row}}}\n')
    with pytest.raises(DataError, match=rf"a\.jsonl:2: {message}"):
        MultipleChoiceTask.read_examples(path)
    bad = BadRows(1)
    assert len(MultipleChoiceTask.read_examples(path, bad=bad)) == bad.count == 1


def test_a_label_that_names_no_choice():
    task = MultipleChoiceTask("1")
    examples = [ChoiceExample("x", ("a", "b"), "2", 1), ChoiceExample("x", ("a", "b"), "3", 2)]
    with pytest.raises(DataError, match=r"^a\.csv:2: expected a number from 1 to 2 as label\. Received '3'$"):
        task.keep_valid(examples, "a.csv")
    assert [example.target for example in task.keep_valid(examples, "a.csv", BadRows(1))] == [1]


def test_settings_round_trip():
    settings = MultipleChoiceTask("letter").settings()
    assert settings == {"name": "multiple-choice", "label_format": "letter"}
    assert MultipleChoiceTask.from_settings(settings).settings() == settings
    with pytest.raises(ValueError, match=r"^label_format must be one of 0, 1, letter, text\. Received: '2'$"):
        MultipleChoiceTask.from_settings(settings | {"label_format": "2"})


# === Model ===


@pytest.fixture(scope="module")
def predictor(small_config, vocabulary):
    task = MultipleChoiceTask()
    return Predictor(task, task.build(BertEncoder(small_config)), Tokenizer(vocabulary), 16)


EXAMPLES = [
    ChoiceExample("the cat", ("sat .", "ran !", "a dog sat on the mat"), 2, 1),
    ChoiceExample("a dog ran", ("fast", "slow"), 1, 2),
]


@pytest.mark.long
def test_what_is_trained_on_is_what_is_served(predictor, vocabulary):
    encode = predictor.text_model.encode
    rows = predictor.task.training_rows(EXAMPLES, encode)
    assert len(rows) == 2
    assert rows.group_sizes.tolist() == [3, 2]
    batch = LengthBucketedBatches(rows, batch_size=2, steps=1, sequence_length=16).batch(np.array([0, 1]))
    inputs = predictor.task.texts_of(EXAMPLES)
    choices = [inputs["choices"][0], [*inputs["choices"][1], ""]]
    graph = tf.function(lambda texts: predictor.task.encode(encode, texts))
    served = graph({"prompt": tf.constant(inputs["prompt"]), "choices": tf.constant(choices)})
    assert served["input_mask"].shape == (2, 3, 11)
    assert not np.any(served["input_mask"][1, 2])
    mask = served["input_mask"].numpy()
    np.testing.assert_array_equal(batch["input_mask"][..., :11], mask)
    np.testing.assert_array_equal(batch["input_word_ids"][..., :11] * mask, served["input_word_ids"] * mask)
    np.testing.assert_array_equal(batch["input_type_ids"][..., :11] * mask, served["input_type_ids"] * mask)
    assert isinstance(encode, GraphEncoder)


def test_places_without_a_choice_have_no_part(predictor):
    together = predictor.answers(*predictor.task.texts_of(EXAMPLES).values())
    assert together["probabilities"].shape == (2, 3)
    assert together["probabilities"][1, 2] == 0
    np.testing.assert_allclose(together["probabilities"].sum(-1), 1, atol=1e-6)
    for row, example in enumerate(EXAMPLES):
        alone = predictor.answers([example.prompt], [list(example.choices)])
        size = len(example.choices)
        np.testing.assert_allclose(alone["probabilities"][0], together["probabilities"][row, :size], atol=1e-6)
    assert together["count"].tolist() == [3, 2]


def test_predictions(predictor):
    (row,) = predictor.predict(["the cat"], [["sat .", "ran !"]])
    best = int(np.argmax(row["probabilities"]))
    assert row == {
        "prompt": "the cat",
        "choices": ["sat .", "ran !"],
        "choice": ["sat .", "ran !"][best],
        "index": best,
        "probabilities": row["probabilities"],
    }
    assert len(row["probabilities"]) == 2
    line = predictor.task.text_line(row)
    assert line == f"{best}\t{row['probabilities'][best]:.4f}\tthe cat\t{row['choice']}"


def test_loss_and_accuracy_leave_out_unused_places():
    task = MultipleChoiceTask()
    outputs = {"logits": tf.constant([[1.0, 2.0, 9.0], [1.0, 0.0, 3.0]])}
    mask = np.ones((2, 3, 4), np.int32)
    mask[0, 2] = 0
    batch = {"labels": tf.constant([1, 0]), "input_mask": tf.constant(mask)}
    loss_sums = task.loss_sums(outputs, batch)
    expected = np.log1p(np.exp(-1)) + np.log(np.exp(1) + 1 + np.exp(3)) - 1
    assert float(loss_sums["cross_entropy"]) == pytest.approx(expected, rel=1e-6)
    assert float(loss_sums["accuracy"]) == 1
    assert float(task.loss_weights(batch)["accuracy"]) == 2


def test_metrics_by_hand():
    probabilities = np.array([[0.2, 0.1, 0.7], [0.9, 0.1, 0.0]])
    result = MultipleChoiceTask().evaluate(EXAMPLES, {"probabilities": probabilities})
    json.dumps(result)
    assert result["accuracy"] == 0.5
    assert result["cross_entropy"] == pytest.approx(-np.log([0.7, 0.1]).mean())
    assert result["calibration_error"] == pytest.approx((0.3 + 0.9) / 2)
    assert result["worst_examples"] == [
        {"line": 2, "prompt": "a dog ran", "choices": ["fast", "slow"], "expected": "slow", "predicted": "fast"}
    ]
