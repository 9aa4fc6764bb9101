import json

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import DataError, UsageError
from kbert.prediction.loading import load
from kbert.sources.bad_rows import BadRows
from kbert.tasks.readers.summarization import SummarizationExample
from kbert.tasks.summarization import SummarizationTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

COLUMNS = {"label": "label", "summary": "summary"}


def lines(folder, *objects):
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in objects), encoding="utf-8")
    return path


# === Reading ===


def test_documents(tmp_path):
    path = lines(
        tmp_path,
        {"text": ["a b", "c d"], "label": [0, 1], "summary": ["c"]},
        {"text": "The cat sat. A dog ran!", "label": [1, 0], "summary": "Cats sit."},
    )
    expected = [
        SummarizationExample(("a b", "c d"), (0, 1), ("c",), 1),
        SummarizationExample(("The cat sat.", "A dog ran!"), (1, 0), ("Cats sit.",), 2),
    ]
    assert SummarizationTask.read_examples(path, COLUMNS) == expected
    assert SummarizationTask.read_examples(path, {"label": "label"})[0].references == ("c d",)
    # Without labels the best fitting sentences get them, as many as a summary has.
    examples = SummarizationTask.read_examples(path, {"summary": "summary"})
    assert [example.labels for example in examples] == [(), ()]
    assert [example.labels for example in SummarizationTask(1).keep_valid(examples, path)] == [(0, 1), (0, 0)]
    assert SummarizationTask(1).keep_valid(expected, path) == expected
    assert SummarizationTask.read_examples(path, targets=False)[1] == SummarizationExample(
        ("The cat sat.", "A dog ran!"), line=2
    )


def test_empty_documents_have_empty_summaries(tmp_path, summarizer):
    path = lines(tmp_path, {"text": ""}, {"text": []}, {"text": ["", "the cat sat", " "]}, {"text": "A dog ran."})
    examples = SummarizationTask.read_examples(path, targets=False)
    assert [each.sentences for each in examples] == [(), (), ("", "the cat sat", ""), ("A dog ran.",)]
    answers = list(load(summarizer).predict_file(path))
    assert [each["summary"] for each in answers] == ["", "", "the cat sat", "A dog ran."]
    assert [each["indices"] for each in answers] == [[], [], [1], [0]]


def test_tables_and_texts(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text('text,summary\n"The cat sat. A dog ran!",A dog ran\n')
    assert SummarizationTask.read_examples(table, {"summary": "summary"})[0].references == ("A dog ran",)
    text = tmp_path / "a.txt"
    text.write_text("The cat sat. A dog ran!\n")
    assert SummarizationTask.read_examples(text, targets=False)[0].sentences == ("The cat sat.", "A dog ran!")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text": "a", "summary": "b"}, r"there is no key 'label' for label; the object has 'text', 'summary'$"),
        (
            {"text": ["a", " "], "label": [1, 0], "summary": "b"},
            r"expected sentences that are not empty\. Number 2 is$",
        ),
        ({"text": [], "label": [], "summary": "b"}, r"expected a text, or a list of sentences\. Received \[\]$"),
        ({"text": [1], "label": [1], "summary": "b"}, r"expected a text, or a list of sentences\. Received \[1\]$"),
        ({"text": "a", "label": [1, 0], "summary": "b"}, r"expected a label of 0 or 1 for each of the 1 sentences\. "),
        ({"text": "a", "label": [[1]], "summary": "b"}, r"expected a label of 0 or 1 .*Received \[\[1\]\]$"),
        ({"text": "a", "label": [2], "summary": "b"}, r"expected a label of 0 or 1 .*Received \[2\]$"),
        ({"text": "a", "label": [1], "summary": [""]}, r"expected a summary, or a list of them\. Received \[''\]$"),
    ],
)
def test_documents_that_cannot_be(tmp_path, value, message):
    path = lines(tmp_path, {"text": "a", "label": [1], "summary": "a"}, value)
    with pytest.raises(DataError, match=rf"a\.jsonl:2: {message}"):
        SummarizationTask.read_examples(path, COLUMNS)
    assert len(SummarizationTask.read_examples(path, COLUMNS, bad=BadRows(1))) == 1


def test_what_cannot_be_learnt(tmp_path):
    with pytest.raises(UsageError, match=r"a\.jsonl: summarization learns from labels of sentences or "):
        SummarizationTask.read_examples(lines(tmp_path, {"text": "a"}))
    with pytest.raises(DataError, match=r"a\.jsonl:1: expected a sentence with the label 1\. There is none$"):
        SummarizationTask.read_examples(lines(tmp_path, {"text": "a", "label": [0]}), {"label": "label"})
    with pytest.raises(UsageError, match=r"^sentences must be at least 1\. Received: sentences=0$"):
        SummarizationTask.from_examples([], "a.jsonl", {"sentences": 0})


# === Windows ===


@pytest.fixture
def encode(vocabulary):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), 16)


def test_sentences_are_joined_with_alternating_types(encode):
    encoded = SummarizationTask().encode(encode, {"sentences": tf.constant([["cat", "a dog", "mat"], ["ran", "", ""]])})
    assert encoded["input_word_ids"].numpy().tolist() == [
        [2, 7, 3, 2, 6, 8, 3, 2, 11, 3],
        [2, 12, 3, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert encoded["input_type_ids"].numpy()[0].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert encoded["windows"].numpy().tolist() == [0, 0, 0, 1]
    assert encoded["positions"].numpy().tolist() == [0, 3, 7, 0]
    assert encoded["places"].numpy().tolist() == [[0, 0], [0, 1], [0, 2], [1, 0]]


def test_long_documents_are_read_in_windows_of_whole_sentences(encode):
    # 4 tokens are the longest sentence; a window takes those that begin within 12 tokens.
    texts = ["cat", "the cat sat on", "a dog", "mat", "ran", "slow"]
    encoded = SummarizationTask().encode(encode, {"sentences": tf.constant([texts])})
    ids, mask = encoded["input_word_ids"].numpy(), encoded["input_mask"].numpy()
    assert [row[: count.sum()].tolist() for row, count in zip(ids, mask, strict=True)] == [
        [2, 7, 3, 2, 5, 7, 3, 2, 6, 8, 3, 2, 11, 3],
        [2, 12, 3, 2, 14, 3],
    ]
    assert encoded["windows"].numpy().tolist() == [0, 0, 0, 0, 1, 1]
    assert encoded["positions"].numpy().tolist() == [0, 3, 7, 11, 0, 3]


def test_windows_hold_all_sentences_of_any_document(encode):
    rng = np.random.default_rng(0)
    for _ in range(20):
        texts = [" ".join(["cat"] * int(rng.integers(1, 9))) for _ in range(int(rng.integers(1, 30)))]
        encoded = SummarizationTask().encode(
            encode, {"sentences": tf.constant([texts, [*texts[:1], *[""] * (len(texts) - 1)]])}
        )
        assert encoded["input_word_ids"].shape[1] <= 16
        at = tf.stack([encoded["windows"], encoded["positions"]], 1)
        assert tf.gather_nd(encoded["input_word_ids"], at).numpy().tolist() == [2] * (len(texts) + 1)
        assert int((encoded["input_word_ids"].numpy() == 2).sum()) == len(texts) + 1


def test_training_labels_stand_at_the_beginning_of_sentences(encode):
    examples = [SummarizationExample(("cat", "a dog"), (0, 1)), SummarizationExample(("mat",), (1,))]
    rows = SummarizationTask().training_rows(examples, encode)
    assert rows.ids.lengths.tolist() == [7, 3]
    assert rows.targets["labels"].values.tolist() == [0, -1, -1, 1, -1, -1, -1, 1, -1, -1]
    assert rows.targets["labels"].by_token


def test_documents_without_a_sentence_to_choose_are_told(encode):
    task = SummarizationTask(1)
    russian = SummarizationExample(("Кошка сидит.", "Собака бежит."), references=("Собака",))
    examples = [
        task.check_example(russian),
        task.check_example(SummarizationExample(("a cat",), references=("nothing",))),
    ]
    assert [example.labels for example in examples] == [(0, 1), (0,)]
    assert task.training_rows(examples, encode).notes == (
        "1 of 2 documents have no sentence with the label 1, or none that shares words with the summary: "
        "they cannot be learnt from",
    )
    assert task.training_rows(examples[:1], encode).notes == ()


def test_the_loss_is_of_sentences_alone():
    batch = {"labels": tf.constant([[1.0, -1.0], [0.0, -1.0]])}
    task = SummarizationTask()
    sums = task.loss_sums({"logits": tf.constant([[[2.0], [9.0]], [[0.0], [9.0]]])}, batch)
    assert float(sums["cross_entropy"]) == pytest.approx(np.log1p(np.exp(-2)) + np.log(2), rel=1e-5)
    assert float(task.loss_weights(batch)["cross_entropy"]) == 2


# === Answers ===


def test_the_best_sentences_in_the_order_of_the_document():
    task = SummarizationTask(2)
    encoded = {
        "sentences": tf.constant([["a", "b", "c"], ["d", "", ""]]),
        "windows": tf.constant([0, 0, 1, 2], tf.int64),
        "positions": tf.constant([0, 1, 0, 0], tf.int64),
        "places": tf.constant([[0, 0], [0, 1], [0, 2], [1, 0]], tf.int64),
    }
    logits = tf.constant([[[1.0], [-2.0]], [[3.0], [0.0]], [[-9.0], [0.0]]])
    answers = {name: value.numpy() for name, value in task.served_answers({"logits": logits}, encoded).items()}
    assert answers["sentences"].tolist() == [[b"a", b"c"], [b"d", b""]]
    assert answers["indices"].tolist() == [[0, 2], [0, 0]]
    assert answers["count"].tolist() == [2, 1]
    first = task.readable_answer({name: value[0] for name, value in answers.items()})
    assert (first["summary"], first["indices"]) == ("a c", [0, 2])
    assert first["probabilities"] == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-3))])
    examples = [SummarizationExample(("a", "b", "c"), (1, 1, 0), ("a b",)), SummarizationExample(("d",), (1,), ("d",))]
    metrics = task.evaluate(examples, answers)
    assert metrics["rouge1"] == pytest.approx((0.5 + 1) / 2)
    assert metrics["precision"] == pytest.approx(2 / 3)


def test_other_documents_change_nothing(summarizer):
    model = load(summarizer)
    # All different: of the same sentence in two windows, rounding would choose.
    verbs = ("sat", "ran fast", "sat on the mat", "ran")
    documents = [
        [f"{noun} {verb}" for noun in ("the cat", "a dog", "slow cats", "the mat") for verb in verbs],
        ["the mat"],
    ]
    together = model.predict(documents)
    assert [len(answer["sentences"]) for answer in together] == [2, 1]
    (alone,) = model.predict(documents[:1])
    assert alone["indices"] == together[0]["indices"]
    assert alone["probabilities"] == pytest.approx(together[0]["probabilities"], abs=1e-5)
    assert [documents[0][index] for index in alone["indices"]] == alone["sentences"]
