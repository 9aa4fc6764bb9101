"""MediaPipe and the Task Library open kbert's exports, and compute what LiteRT computes from kbert's tokens.

Both run in processes of their own, since they need other versions of packages than TensorFlow.
"""

import csv
import gzip
import importlib.util
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kbert.export.phone.export import export_litert
from kbert.export.phone.metadata.of_model import metadata_of
from kbert.export.phone.metadata.phone_metadata import PhoneMetadata
from kbert.export.phone.metadata.writing import with_metadata
from kbert.inference.litert_model import interpreter, litert_model
from kbert.prediction.loading import load
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.text.mediapipe_tokenizer import mediapipe_tokenizer
from kbert.text.tokenizer import Tokenizer

pytestmark = pytest.mark.peers

VOCABULARIES = {"English": "bert-base-uncased", "Chinese": "bert-base-chinese"}
TABLES = {"English": ("sst2/dev.tsv", "sentence"), "Chinese": ("zh_chnsenticorp/dev.tsv", "text_a")}
FEATURES = ("input_word_ids", "input_mask", "input_type_ids")


def python_with(package, version, variable):
    """A Python that has a package: the one that an environment variable names, else this one."""
    if variable in os.environ:
        return os.environ[variable]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}=={version}: name a Python that has it with {variable}")
    return sys.executable


@pytest.fixture(scope="module")
def mediapipe(tmp_path_factory):
    python = python_with("mediapipe", "1.2.3", "KBERT_MEDIAPIPE_PYTHON")
    return asked(python, "mediapipe_probe.py", tmp_path_factory.mktemp("mediapipe"))


@pytest.fixture(scope="module")
def task_library(tmp_path_factory):
    python = python_with("tflite_support", "0.4.4", "KBERT_TASK_LIBRARY_PYTHON")
    return asked(python, "task_library_probe.py", tmp_path_factory.mktemp("task_library"))


def asked(python, probe, folder):
    def ask(content, **request):
        model, question, answer = folder / "model.tflite", folder / "request.json", folder / "answer.json"
        model.write_bytes(content)
        question.write_text(json.dumps({"model": str(model), **request}), encoding="utf-8")
        command = [python, str(Path(__file__).with_name(probe)), str(question), str(answer)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(answer.read_text(encoding="utf-8"))

    return ask


@pytest.fixture(scope="module")
def make_model(data, small_config, make_task_model, tmp_path_factory):
    """Writes a small model with random weights and a real vocabulary."""

    def make(task, language, length):
        tokenizer = Tokenizer(data / "vocab" / f"{VOCABULARIES[language]}.txt")
        config = small_config.replace(vocab_size=len(tokenizer.vocabulary), max_position_embeddings=384)
        folder = tmp_path_factory.mktemp(f"{task.name}_{language}")
        return make_task_model(folder, task, config=config, tokenizer=tokenizer, sequence_length=length)

    return make


def exported(folder, path, **options):
    """The model, its export, and the export with metadata."""
    plain = export_litert(folder, output=path, metadata="none").read_bytes()
    model = load(folder)
    return model, plain, with_metadata(plain, metadata_of(model, name="a model", **options))


def sentences(data, language):
    file, column = TABLES[language]
    with open(data / file, encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row[column].strip() for row in itertools.islice(rows, 200)]


def outputs_of_litert(plain, tokenizer, texts, length):
    """What LiteRT computes from the ids of a tokenizer."""
    rows = [mediapipe_tokenizer(tokenizer).encode(text, max_length=length, pad_to=length) for text in texts]
    arrays = zip(*((row.ids, row.attention_mask, row.type_ids) for row in rows), strict=True)
    batch = {name: np.array(values, np.int32) for name, values in zip(FEATURES, arrays, strict=True)}
    (output,) = run_litert(plain, batch).values()
    return output


def run_litert(content, batch):
    """The outputs of a LiteRT model for each row of a batch."""
    runner = interpreter(content, 2).get_signature_runner()
    count = len(next(iter(batch.values())))
    rows = [runner(**{name: values[i : i + 1] for name, values in batch.items()}) for i in range(count)]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("language", ["English", "Chinese"])
def test_the_text_classifier_gives_the_probabilities_of_litert(mediapipe, make_model, data, tmp_path, language):
    folder = make_model(ClassificationTask(["bad", "fine", "sehr gut"]), language, 128)
    model, plain, content = exported(folder, tmp_path / "m.tflite")
    texts = sentences(data, language)
    rows = mediapipe(content, task="classifier", texts=texts)["rows"]
    received = [[row[label] for label in model.task.labels] for row in rows]
    expected = outputs_of_litert(plain, model.tokenizer, texts, 128)
    assert len(texts) == 200
    assert expected.std(0).min() > 0.01  # the texts differ
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("language", ["English", "Chinese"])
def test_the_text_embedder_gives_the_vectors_of_litert(mediapipe, make_model, data, tmp_path, language):
    model, plain, content = exported(make_model(EmbeddingTask(), language, 64), tmp_path / "m.tflite")
    texts = sentences(data, language)
    received = mediapipe(content, task="embedder", texts=texts)["rows"]
    expected = outputs_of_litert(plain, model.tokenizer, texts, 64)
    assert expected.std(0).max() > 0.01
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "task", [ClassificationTask(["bad", "good"]), MultilabelTask(["bad", "fine", "good"])], ids=["two", "independent"]
)
def test_scores_are_calibrated_by_the_temperature(mediapipe, make_model, tmp_path, task):
    model, plain, content = exported(make_model(task, "English", 16), tmp_path / "m.tflite", temperature=2.5)
    texts = ["a fine film", "terrible !", ""]
    rows = mediapipe(content, task="classifier", texts=texts)["rows"]
    p = outputs_of_litert(plain, model.tokenizer, texts, 16).astype(np.float64)
    expected = 1 / (1 + np.exp(-np.log(p / (1 - p)) / 2.5))
    np.testing.assert_allclose([[row[label] for label in task.labels] for row in rows], expected, rtol=0, atol=1e-5)


def test_a_model_without_metadata_does_not_open(mediapipe, make_model, tmp_path):
    _, plain, _ = exported(make_model(EmbeddingTask(), "English", 16), tmp_path / "m.tflite")
    assert "No metadata or input process unit found" in mediapipe(plain, task="embedder", texts=["a"])["error"]


@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased", "bert-base-chinese"])
def test_ids_are_those_of_mediapipe(mediapipe, data, goldens, name):
    """A model that returns its ids shows them, for the 12,045 real and difficult texts."""
    length = 2304
    tokenizer = Tokenizer(data / "vocab" / f"{name}.txt", lowercase=name != "bert-base-cased")
    with gzip.open(goldens / f"tokenizer-{name}.jsonl.gz") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    plain = litert_model(
        lambda ids, mask, types: {"ids": tf.cast(ids * mask + types, tf.float32)},
        [tf.TensorSpec([1, length], tf.int32, name=feature) for feature in FEATURES],
    )
    content = with_metadata(plain, PhoneMetadata(name="ids", vocabulary=tokenizer.vocabulary))
    rows = mediapipe(content, task="embedder", texts=texts, trimmed=True)["rows"]
    ours = mediapipe_tokenizer(tokenizer)
    graph = ours.to_graph()
    in_graph = [
        ids for start in range(0, len(texts), 1024) for ids in graph(tf.constant(texts[start : start + 1024])).to_list()
    ]
    special = [tokenizer.vocabulary.cls_id], [tokenizer.vocabulary.sep_id]
    wrong = [
        text
        for text, row, ids in zip(texts, rows, in_graph, strict=True)
        if not [*special[0], *ids, *special[1]] == row == ours.encode(text).ids
    ]
    assert wrong == []


def test_the_task_library_classifies_texts(task_library, make_model, data, tmp_path):
    model, plain, content = exported(make_model(ClassificationTask(["bad", "good"]), "English", 128), tmp_path / "m")
    texts = sentences(data, "English")
    rows = task_library(content, texts=texts)["rows"]
    expected = outputs_of_litert(plain, model.tokenizer, texts, 128)
    np.testing.assert_allclose([[row["bad"], row["good"]] for row in rows], expected, rtol=0, atol=1e-5)


def test_the_task_library_answers_questions_with_the_logits_of_litert(task_library, make_model, data, tmp_path):
    """BertQuestionAnswerer considers the 5 likeliest starts and ends, and gives whole words between spaces."""
    model, plain, content = exported(make_model(QuestionAnsweringTask(), "English", 384), tmp_path / "m.tflite")
    tokenizer = mediapipe_tokenizer(model.tokenizer)
    pairs = [
        (question["question"], " ".join(paragraph["context"].split()))
        for article in json.loads((data / "squad" / "dev.json").read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    rows = [(pair, tokenizer.encode(*pair, pad_to=384)) for pair in pairs]
    rows = [(pair, row) for pair, row in rows if len(row) == 384][:300]
    arrays = zip(*((row.ids, row.attention_mask, row.type_ids) for _, row in rows), strict=True)
    batch = {name: np.array(values, np.int32) for name, values in zip(FEATURES, arrays, strict=True)}
    logits = run_litert(plain, batch)
    received = task_library(content, questions=[pair for pair, _ in rows])["rows"]
    assert len(received) == 300
    assert sum(map(bool, received)) >= 10  # few of the likeliest ends follow a start closely with random weights
    for index, ((_, context), row) in enumerate(rows):
        expected = spans(logits["start_logits"][index], logits["end_logits"][index], row)
        expected = [(words_around(context, *offsets), logit) for *offsets, logit in expected]
        assert [text for text, _ in received[index]] == [text for text, _ in expected]
        np.testing.assert_allclose(
            [logit for _, logit in received[index]], [logit for _, logit in expected], rtol=0, atol=1e-4
        )


def spans(start_logits, end_logits, row):
    """The five best of the spans of the five likeliest starts and ends: offsets and logit."""
    found = []
    for start, end in itertools.product(np.argsort(-start_logits)[:5], np.argsort(-end_logits)[:5]):
        inside = all(row.type_ids[place] and not row.special_tokens_mask[place] for place in (start, end))
        if inside and 0 <= end - start < 32:
            logit = start_logits[start] + end_logits[end]
            found.append((row.offsets[start][0], row.offsets[end][1], logit))
    return sorted(found, key=lambda span: -span[2])[:5]


def words_around(context, start, end):
    """The words between spaces that a span touches."""
    first = context.rfind(" ", 0, start + 1) + 1
    limit = context.find(" ", end)
    return context[first : len(context) if limit < 0 else limit]
