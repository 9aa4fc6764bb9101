import json

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import DataError, UsageError
from kbert.models.encoder import BertEncoder
from kbert.prediction.formats import conll_lines
from kbert.prediction.loading import load
from kbert.tasks.readers.tagging import Span, TaggedText
from kbert.tasks.tagging import TaggingTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetune import finetune

TEXTS = [
    TaggedText("The unaffable cat sat, the dogs ran.", (Span(4, 17, "animal"), Span(27, 31, "animal")), 1),
    TaggedText("fast fast Ünaffable!", (Span(0, 4, "pace"), Span(5, 19, "pace")), 2),
    TaggedText("the mat", (), 3),
    TaggedText(" ".join(["a cat on the mat , a slow dog sat ."] * 4), (Span(2, 5, "animal"), Span(89, 97, "pace")), 4),
]


def encoder(vocabulary, length):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), length)


def oracle(task, encode, texts):
    """The answers of a model that is always right."""
    rows = task.training_rows(texts, encode)
    encoded = task.encode(encode, {"text": tf.constant([text.text for text in texts])})
    labels = np.zeros(encoded["input_mask"].shape, int)
    labels[encoded["input_mask"].numpy() == 1] = np.maximum(rows.targets["labels"].values, 0)
    classes = len(task.labels)
    tables = {
        "start_transitions": tf.zeros([1, classes]),
        "end_transitions": tf.zeros([1, classes]),
        "transitions": tf.zeros([1, classes, classes]),
    }
    logits = tf.one_hot(labels, classes) * 5.0
    return {name: value.numpy() for name, value in task.served_answers({"logits": logits} | tables, encoded).items()}


def test_labels_are_discovered():
    task = TaggingTask.from_examples(TEXTS, "a.conll")
    assert task.labels == ["O", "B-animal", "I-animal", "B-pace", "I-pace"]
    assert TaggingTask.from_examples(TEXTS, "a", {"scheme": "bioes"}).labels[3:5] == ["E-animal", "S-animal"]
    again = TaggingTask.from_settings(json.loads(json.dumps(task.settings())))
    assert again.settings() == task.settings()
    with pytest.raises(DataError, match=r"^a\.conll: expected texts with spans\. There are none in any of them$"):
        TaggingTask.from_examples([TEXTS[2]], "a.conll")
    with pytest.raises(DataError, match=r"^dev:7: expected one of the types seen in training \(animal, pace\)\. "):
        task.keep_valid([TaggedText("a", (Span(0, 1, "plant"),), 7)], "dev")


def test_the_first_piece_of_a_word_has_its_label(vocabulary):
    task = TaggingTask.from_examples(TEXTS, "a")
    rows = task.training_rows(TEXTS[:2], encoder(vocabulary, 32))
    # [CLS] the un ##aff ##able cat sat , the dog ##s ran . [SEP], then [CLS] fast fast un ##aff ##able ! [SEP]
    assert rows.ids.lengths.tolist() == [14, 8]
    assert rows.targets["labels"].values[:14].tolist() == [-1, 0, 1, -1, -1, 2, 0, 0, 0, 1, -1, 0, 0, -1]
    assert rows.targets["labels"].values[14:].tolist() == [-1, 3, 3, 4, -1, -1, 0, -1]


@pytest.mark.long
@pytest.mark.parametrize(
    ("length", "options"),
    [
        (9, {"scheme": "bioes"}),
        pytest.param(9, {"crf": True}, marks=pytest.mark.slow),
        pytest.param(16, {"scheme": "bioes"}, marks=pytest.mark.slow),
        pytest.param(16, {"crf": True}, marks=pytest.mark.slow),
    ],
)
def test_spans_come_back_from_their_labels_through_windows(vocabulary, length, options):
    task = TaggingTask.from_examples(TEXTS, "a", options)
    encode = encoder(vocabulary, length)
    answers = oracle(task, encode, TEXTS)
    assert task.evaluate(TEXTS, answers)["f1"] == 1.0
    for row, text in enumerate(TEXTS):
        spans = task.readable_answer({name: values[row] for name, values in answers.items()})["spans"]
        assert [(span["start"], span["end"], span["label"]) for span in spans] == [
            (span.start, span.end, span.label) for span in text.spans
        ]
        assert [span["text"] for span in spans] == [text.text[span.start : span.end] for span in text.spans]
    # Each word is learnt once, however many windows show it.
    words = sum((rows := task.training_rows([text], encode)).targets["labels"].values.__ge__(0).sum() for text in TEXTS)
    assert words == (task.training_rows(TEXTS, encoder(vocabulary, 512)).targets["labels"].values >= 0).sum()
    assert rows.ids.lengths.max() <= length


def test_of_spans_that_overlap_the_longest_is_learnt(vocabulary):
    text = TaggedText("the slow cat sat", (Span(0, 12, "animal"), Span(4, 8, "pace")), 1)
    task = TaggingTask.from_examples([text], "a")
    labels = task.training_rows([text], encoder(vocabulary, 16)).targets["labels"].values
    assert [task.labels[label] for label in labels[1:-1]] == ["B-animal", "I-animal", "I-animal", "O"]


def test_texts_without_words(vocabulary):
    task = TaggingTask.from_examples(TEXTS, "a")
    answers = oracle(task, encoder(vocabulary, 16), [TaggedText(" ", (), 1), TEXTS[2], TaggedText("", (), 1)])
    assert answers["count"].tolist() == [0, 0, 0]
    assert answers["labels"].shape == (3, 0)


def test_loss_counts_words_alone():
    task = TaggingTask(["O", "B-a", "I-a"])
    batch = {"labels": tf.constant([[-1, 0, 1, -1]])}
    outputs = {"logits": tf.constant([[[9.0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 9, 0]]])}
    loss_sums, loss_weights = task.loss_sums(outputs, batch), task.loss_weights(batch)
    expected = 2 * np.log(np.e + 2) - 1
    assert float(loss_sums["cross_entropy"]) == pytest.approx(expected, rel=1e-5)
    assert float(loss_sums["tag_accuracy"]) == 1
    assert float(loss_weights["cross_entropy"]) == 2


def test_the_model_has_no_pooler(small_config):
    task = TaggingTask(["O", "B-a", "I-a"], crf=True)
    names = task.bindings(task.build(BertEncoder(small_config, pooled=task.pooled))).keys()
    assert not [name for name in names if "pooler" in name]
    assert {"classifier.weight", "crf.transitions", "crf.start_transitions", "crf.end_transitions"} <= names


@pytest.mark.long
@pytest.mark.parametrize("options", [{"crf": True}, pytest.param({}, marks=pytest.mark.slow)])
def test_it_is_learnt_and_long_texts_are_read_to_their_end(tmp_path, vocab_file, options):
    animals = [("cat", "B-animal"), ("dog", "B-animal")]
    words = [("the", "O"), ("sat", "O"), ("ran", "O"), ("mat", "O"), *animals]
    rng = np.random.default_rng(0)
    rows = [[words[place] for place in rng.integers(0, len(words), 8)] for _ in range(64)]
    path = tmp_path / "train.conll"
    path.write_text("\n\n".join("\n".join(f"{word} {tag}" for word, tag in row) for row in rows) + "\n")
    metrics = finetune(
        "tagging",
        model="tiny",
        vocab=vocab_file,
        train=path,
        validation=path,
        output=tmp_path / "run",
        epochs=4,
        batch_size=8,
        learning_rate=1e-3,
        sequence_length=12,
        show_progress=False,
        **options,
    )
    assert metrics["f1"] > 0.95
    model = load(tmp_path / "run")
    (answer,) = model.predict(["the mat " * 40 + "cat sat"])
    assert [(span["start"], span["text"]) for span in answer["spans"]] == [(320, "cat")]
    assert model.task.text_line(answer).startswith("animal 'cat' ")


def test_what_no_token_holds_does_not_count_at_the_edge_of_a_span():
    texts = [TaggedText("Dubbz\ufeff ran", (Span(0, 6, "PER"),)), TaggedText(" Cafe\u0301", (Span(0, 6, "LOC"),))]
    answers = {
        "starts": np.array([[0], [1]]),
        "ends": np.array([[5], [5]]),
        "labels": np.array([[b"PER"], [b"LOC"]], object),
        "count": np.array([1, 1]),
    }
    assert TaggingTask(["O", "I-PER", "I-LOC"]).evaluate(texts, answers)["f1"] == 1.0
    answers["ends"][0] = 4
    assert TaggingTask(["O", "I-PER", "I-LOC"]).evaluate(texts, answers)["f1"] == 0.5


def test_spans_that_cannot_be_learnt_are_told(caplog):
    examples = [TaggedText("Adas mat", (Span(0, 3, "X"), Span(5, 8, "X")), 4)]
    assert TaggingTask(["O", "B-X", "I-X"]).keep_valid(examples, "a.jsonl") == examples
    (record,) = caplog.records
    expected = "1 of 2 spans cannot be learnt (first: a.jsonl:4): 1 begin or end within a word"
    assert record.getMessage() == f"a.jsonl: {expected}"


@pytest.mark.long
def test_texts_in_words(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", TaggingTask(["O", "B-X", "I-X"])))
    (answer, _) = model.predict([["the", "cat", "sat."], ["a"]])
    assert answer["text"] == "the cat sat."
    words = [(word["text"], word["start"], word["end"]) for word in answer["words"]]
    assert words == [("the", 0, 3), ("cat", 4, 7), ("sat.", 8, 12)]
    spans = {(span["start"], span["end"]) for span in answer["spans"]}
    for word in answer["words"]:
        inside = any(start < word["end"] and end > word["start"] for start, end in spans)
        assert word["tag"] in (("B-X", "I-X") if inside else ("O",))
    with pytest.raises(UsageError, match=r"^keep_columns is for data frames and lists of dictionaries\. Received: "):
        model.predict([["the", "cat"]], keep_columns=["id"])
    path = tmp_path / "a.conll"
    path.write_text("the\ncat\nsat.\n\na\n")
    assert next(model.predict_file(path)) == answer
    assert [line.split("\t")[0] for line in conll_lines(answer)] == ["the", "cat", "sat.", ""]
