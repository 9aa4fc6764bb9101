import json

import numpy as np
import pytest

from kbert.errors import DataError, UsageError
from kbert.prediction.loading import load
from kbert.tasks.text_task import Example

TEXTS = [
    "the cat sat on the mat .",
    "",
    "a dog",
    "zzz 中文 \x00",
    "the " * 40,
    "ran !",
    "unaffable cats ,",
]


@pytest.fixture(scope="module")
def model(classifier):
    return load(classifier)


@pytest.fixture(scope="module")
def pair_model(pair_classifier):
    return load(pair_classifier)


def test_answers_name_text_label_and_probabilities(model):
    (answer,) = model.predict(["a dog"])
    assert list(answer) == ["text", "label", "probabilities"]
    assert answer["text"] == "a dog"
    probabilities = answer["probabilities"]
    assert list(probabilities) == ["bad", "fine", "good"]
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert answer["label"] == max(probabilities, key=probabilities.get)
    json.dumps(answer)


def test_answers_keep_the_order_of_the_texts(model):
    answers = model.predict(TEXTS)
    assert [answer["text"] for answer in answers] == TEXTS
    for text, answer in zip(TEXTS, answers, strict=True):
        (alone,) = model.predict([text])
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
    assert len({round(answer["probabilities"]["good"], 5) for answer in answers}) == len(TEXTS)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_size_changes_nothing(model, batch_size):
    expected = model.answers(TEXTS, batch_size=4)
    answers = model.answers(TEXTS, batch_size=batch_size)
    assert answers["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(answers["probabilities"], expected["probabilities"], atol=1e-5)


def test_no_texts(model):
    assert model.predict([]) == []


def test_texts_are_cut_to_the_sequence_length(model):
    # 22 tokens fit between [CLS] and [SEP].
    cut, long, other = model.answers(["the " * 22, "the " * 21 + "the cat", "the " * 21 + "cat"])["probabilities"]
    np.testing.assert_allclose(cut, long, atol=1e-6)
    assert np.abs(cut - other).max() > 1e-4


def test_a_lone_surrogate_is_text_too(model):
    assert model.predict(["a \ud800 dog"])[0]["text"] == "a \ud800 dog"


def test_pairs(pair_model):
    texts, pairs = ["the cat", "a dog", "the cat"], ["sat on", "ran", ""]
    answers = pair_model.predict(texts, pairs)
    assert [(answer["text"], answer["pair"]) for answer in answers] == list(zip(texts, pairs, strict=True))
    for text, pair, answer in zip(texts, pairs, answers, strict=True):
        (alone,) = pair_model.predict([text], [pair])
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
    (swapped,) = pair_model.predict(pairs[:1], texts[:1])
    assert swapped["probabilities"] != pytest.approx(answers[0]["probabilities"], abs=1e-4)


def test_pairs_where_there_should_be_none(model, pair_model):
    with pytest.raises(
        UsageError,
        match=r"^this model answers for single texts; leave out .* paired=True .*\. Received: pairs of texts$",
    ):
        model.predict(["a"], ["b"])
    with pytest.raises(
        UsageError,
        match=r"^this model answers for pairs of texts; give the second ones too .*\. Received: single texts$",
    ):
        pair_model.predict(["a"])
    with pytest.raises(UsageError, match=r"as many pairs as texts\. Received: 2 and 1$"):
        pair_model.predict(["a"], ["b", "c"])
    with pytest.raises(UsageError, match=r"^expected a text for each pair\. Received: \['b'\]$"):
        pair_model.predict(["a"], [["b"]])
    with pytest.raises(UsageError, match=r"^expected a text for each text\. Received: None$"):
        model.predict(["a", None])


def test_tokens_give_what_text_gives(model):
    import tensorflow as tf

    batch = model.text_model.encode(tf.constant(TEXTS))
    from_tokens = model.text_model.from_tokens(**batch)
    np.testing.assert_allclose(from_tokens["probabilities"], model.answers(TEXTS)["probabilities"], atol=1e-5)
    assert from_tokens.keys() == {"probabilities"}


@pytest.mark.long
def test_evaluation_of_examples_and_of_a_file(model, tmp_path):
    texts = [text for text in TEXTS if text.strip()][:3]
    labels = [answer["label"] for answer in model.predict(texts)]
    wrong = next(label for label in model.task.labels if label != labels[2])
    targets = [*labels[:2], wrong]
    examples = [Example(text, None, targets[index], index + 1) for index, text in enumerate(texts)]
    metrics = model.evaluate(examples)
    assert metrics["examples"] == 3
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    path = tmp_path / "dev.jsonl"
    path.write_text(
        "".join(json.dumps({"review": e.text, "stars": e.target}) + "\n" for e in examples), encoding="utf-8"
    )
    assert model.evaluate(path, text_column="review", label_column="stars") == metrics


def test_columns_of_a_table_are_carried_into_predictions(model, tmp_path):
    rows = [{"id": 7, "text": "a dog", "label": "x"}, {"id": 8, "text": "the cat", "label": "y"}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = list(model.predict_file(path, keep_columns=["id"]))
    assert [(row["id"], row["text"]) for row in found] == [(7, "a dog"), (8, "the cat")]
    assert next(iter(found[0])) == "id"
    assert model.predict(rows, keep_columns=["id"]) == found
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows))  # all objects in one line
    assert list(model.predict_file(path, keep_columns=["id"])) == found
    path = tmp_path / "a.csv"
    path.write_text("id,text\n7,a dog\n8,the cat\n")
    assert [row["id"] for row in model.predict_file(path, keep_columns=["id"])] == ["7", "8"]
    with pytest.raises(
        DataError, match=r"there is no column 'name'; the header has 'id', 'text'\. Name another with --keep-column"
    ):
        list(model.predict_file(path, keep_columns=["name"]))
    with pytest.raises(UsageError, match=r"predictions have a key 'label' of their own; rename the column to keep it"):
        model.predict(rows, keep_columns=["label"])
    with pytest.raises(UsageError, match=r"keep_columns is for data frames"):
        model.predict(["a dog"], keep_columns=["id"])


def test_a_label_that_training_never_saw(model, tmp_path):
    path = tmp_path / "dev.csv"
    path.write_text("text,label\na,good\nb,awful\n")
    with pytest.raises(DataError, match=r"dev\.csv:3: expected one of .*bad, fine, good.* Received 'awful'$"):
        model.evaluate(path)


def test_an_invalid_batch_size(model):
    with pytest.raises(UsageError, match=r"^batch_size must be at least 1\. Received: batch_size=0$"):
        model.predict(["a dog"], batch_size=0)
