"""Tagging with a tag for each word, such as its part of speech."""

import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.errors import DataError, UsageError
from kbert.export.saved_model import export_saved_model
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.tasks.answers.words import given_words, word_scores
from kbert.tasks.readers.tagged_texts import Span, TaggedText, text_of_words
from kbert.tasks.tagging import TaggingTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetune import finetune

WORDS = {
    "the": "DET",
    "a": "DET",
    "cat": "NOUN",
    "dogs": "NOUN",
    "mat": "NOUN",
    "sat": "VERB",
    "ran": "VERB",
    ".": "PUNCT",
}


def tagged(words, tags, line=1):
    given = text_of_words(words.split())
    return TaggedText(given.text, (), line, given.words, tuple(tags.split()), True)


TEXTS = [tagged("the unaffable! cat", "DET ADJ NOUN"), tagged("a dogs", "_ NOUN", 2)]


def test_the_task_follows_from_the_tags(logged):
    task = TaggingTask.from_examples(TEXTS, "a.conllu", {"crf": True})
    assert logged() == ["a.conllu: each tag belongs to a single word (--tag-scheme words), not to a span"]
    assert (task.labels, task.per_word, task.crf, task.main_metric) == (["ADJ", "DET", "NOUN"], True, True, "accuracy")
    again = TaggingTask.from_settings(json.loads(json.dumps(task.settings())))
    assert (again.settings(), again.main_metric) == (task.settings(), "accuracy")
    assert TaggingTask.from_settings({"labels": ["O", "B-X"], "crf": False}).per_word is False  # of earlier versions
    with pytest.raises(DataError, match=r"^b:3: expected one of the tags seen in training \(ADJ, DET, NOUN\)\..*'X'$"):
        task.keep_valid([tagged("a", "X", 3)], "b")
    with pytest.raises(DataError, match=r"^b:4: expected words, each with a tag\. Received: a text with spans$"):
        task.keep_valid([TaggedText("a cat", (Span(0, 1, "DET"),), 4)], "b")
    with pytest.raises(UsageError, match=r"^main_metric must be one of accuracy, macro_f1, loss for tags of single"):
        task.with_main_metric("f1")
    assert task.with_main_metric("macro_f1").main_metric == "macro_f1"
    with pytest.raises(UsageError, match=r"f1, precision, recall, macro_f1, loss for spans\. Received: .*'accuracy'$"):
        TaggingTask(["O", "B-X"]).with_main_metric("accuracy")


@pytest.mark.long
def test_all_words_of_the_tokenizer_are_learnt_with_the_tag_of_the_given_word(vocabulary):
    task = TaggingTask.from_examples(TEXTS, "a")
    rows = task.training_rows(TEXTS, GraphEncoder(Tokenizer(vocabulary).to_graph(), 32))
    # [CLS] the un ##aff ##able ! cat [SEP], then [CLS] a dog ##s [SEP]; the tag of "a" is not known.
    assert rows.targets["labels"].values.tolist() == [-1, 1, 0, -1, -1, 0, 2, -1, -1, -1, 2, -1, -1]


def test_scores_of_tags_leave_words_without_a_tag_out():
    examples = [tagged("the cat sat", "DET NOUN VERB"), tagged("a \u200b mat", "_ DET NOUN")]
    answers = {
        "count": np.array([3, 2]),
        "starts": np.array([[0, 4, 8], [0, 4, 0]]),
        "tags": np.array([[b"DET", b"NOUN", b"NOUN"], [b"VERB", b"NOUN", b""]], object),
    }
    scores = word_scores(["DET", "NOUN", "VERB"], examples, answers)
    assert (scores["examples"], scores["words"], scores["accuracy"]) == (2, 5, 0.6)
    # The tokenizer drops the invisible word, whose tag DET is therefore not found.
    assert scores["per_class"]["DET"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2}
    assert scores["per_class"]["NOUN"] == {"precision": 2 / 3, "recall": 1.0, "f1": 0.8, "support": 2}
    assert scores["per_class"]["VERB"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 3)
    assert scores["confusion_matrix"] == [[1, 0, 0], [0, 2, 0], [0, 1, 0]]
    nothing = {"count": np.array([0]), "starts": np.zeros((1, 0)), "tags": np.zeros((1, 0), object)}
    assert word_scores(["DET"], [tagged("a", "_")], nothing)["accuracy"] == 0.0


def test_each_given_word_has_one_tag():
    predicted = [
        {"text": "n", "start": 0, "end": 1, "tag": "PART", "score": 0.9},
        {"text": "'", "start": 1, "end": 2, "tag": "PUNCT", "score": 0.8},
        {"text": "go", "start": 6, "end": 8, "tag": "VERB", "score": 0.7},
    ]
    words = given_words(text_of_words(["n't", "\u200b", "go"]), predicted)
    assert [(word["text"], word["tag"], word["score"]) for word in words] == [
        ("n't", "PART", 0.9),
        ("\u200b", "_", 0.0),
        ("go", "VERB", 0.7),
    ]


@pytest.mark.long
def test_a_model_of_parts_of_speech_of_another_library(tmp_path, make_task_model):
    folder = make_task_model(tmp_path / "run", TaggingTask(["ADJ", "NOUN", "VERB"], per_word=True))
    (folder / "kbert.json").unlink()
    assert TaggingTask.from_foreign(Bundle.load(folder), paired=False).per_word is True
    (answer,) = load(folder).predict(["a cat!"])
    assert [word["text"] for word in answer["words"]] == ["a", "cat", "!"]
    folder = make_task_model(tmp_path / "ner", TaggingTask(["O", "PER", "LOC"]))
    (folder / "kbert.json").unlink()
    assert TaggingTask.from_foreign(Bundle.load(folder), paired=False).per_word is False


def run_command(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def conllu(tmp_path_factory):
    """A file of 96 sentences of eight words, each with the tag of `WORDS`."""
    rng = np.random.default_rng(0)
    names = list(WORDS)
    sentences = [[names[place] for place in rng.integers(0, len(names), 8)] for _ in range(96)]
    blank = "\t_" * 6
    path = tmp_path_factory.mktemp("data") / "train.conllu"
    path.write_text(
        "\n\n".join(
            f"# text = {' '.join(words)}\n"
            + "\n".join(f"{place}\t{word}\t_\t{WORDS[word]}{blank}" for place, word in enumerate(words, start=1))
            for words in sentences
        )
        + "\n"
    )
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory, conllu, vocabulary):
    """The folder of a model that learnt the file."""
    folder = tmp_path_factory.mktemp("model")
    vocabulary.save(folder / "vocab.txt")
    metrics = finetune(
        "tagging",
        model="tiny",
        vocab=folder / "vocab.txt",
        train=conllu,
        validation=conllu,
        output=folder / "run",
        epochs=4,
        batch_size=8,
        learning_rate=1e-3,
        sequence_length=12,
        show_progress=False,
    )
    assert metrics["accuracy"] > 0.95
    assert metrics["words"] == 96 * 8
    return folder / "run"


@pytest.mark.slow
def test_commands(tmp_path, conllu, model):
    metrics = json.loads(run_command("evaluate", model, "--data", conllu, "--json"))
    assert metrics["accuracy"] > 0.95
    assert metrics["labels"] == ["DET", "NOUN", "PUNCT", "VERB"]
    assert "accuracy: " in run_command("evaluate", model, "--data", conllu)
    assert run_command("predict", model, "the cat sat.") == "the/DET cat/NOUN sat/VERB ./PUNCT\n"
    lines = run_command("predict", model, "--input", conllu, "--output-format", "conll").splitlines()
    expected = [f"{word}\t{WORDS[word]}" for word in (line.partition("\t")[0] for line in lines) if word]
    assert sum(line != "" for line in lines) == 96 * 8
    assert np.mean([line == right for line, right in zip(filter(None, lines), expected, strict=True)]) > 0.95
    (answer,) = load(model).predict([["the", "cat.dogs", "sat"]])
    assert [(word["text"], word["tag"]) for word in answer["words"]] == [
        ("the", "DET"),
        ("cat.dogs", "NOUN"),
        ("sat", "VERB"),
    ]


@pytest.mark.slow
def test_export(tmp_path, model):
    exported = export_saved_model(model, output=tmp_path / "exported")
    answer = tf.saved_model.load(str(exported)).signatures["serving_default"](tf.constant(["the cat", "mat sat ran."]))
    assert answer["tags"].numpy().tolist() == [[b"DET", b"NOUN", b"", b""], [b"NOUN", b"VERB", b"VERB", b"PUNCT"]]
    assert answer["texts"].numpy()[1].tolist() == [b"mat", b"sat", b"ran", b"."]
    assert (answer["count"].numpy().tolist(), answer["starts"].numpy()[1].tolist()) == ([2, 4], [0, 4, 8, 11])
