"""The SavedModel of each task answers like the model in all loaders, in processes that do not import kbert."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kbert.export.example_signatures import example_signatures, examples
from kbert.export.phone.export import export_litert
from kbert.export.saved_model import export_saved_model
from kbert.prediction.loading import load
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.decoding.settings import Decoding
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.generation import GenerationTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask

LONG = "the cat sat on the mat . Ünaffable dogs ran 中文 ! " * 5
TEXTS = [LONG, "", "a dog"]
SEVERAL = [["the mat", LONG, "", ""], ["a", "b", "中", "ran"], ["fast", "", "slow", ""]]
TASKS = {
    "classification": (ClassificationTask(["差评", "好评", "一般"]), {"text": TEXTS}),
    "classification of pairs": (
        ClassificationTask(["no", "yes"], paired=True),
        {"text": TEXTS, "text_pair": TEXTS[::-1]},
    ),
    "multilabel": (MultilabelTask(["动作", "crime", "b|c"], thresholds=[0.5, 0.4, 0.6]), {"text": TEXTS}),
    "regression": (RegressionTask(True, 2.5, 1.5), {"text": TEXTS, "text_pair": TEXTS[::-1]}),
    "multiple-choice": (MultipleChoiceTask(), {"prompt": TEXTS, "choices": SEVERAL}),
    "tagging": (TaggingTask(["O", "B-a", "I-a", "B-b", "I-b"]), {"text": [LONG, "", "a dog"]}),
    "crf": (TaggingTask(["O", "B-a", "E-a", "S-a", "I-a"], crf=True), {"text": [LONG, "", "a dog"]}),
    "words": (TaggingTask(["DET", "名詞", "VERB"], per_word=True), {"text": [LONG, "", "a dog"]}),
    "words, crf": (TaggingTask(["DET", "NOUN"], crf=True, per_word=True), {"text": [LONG, "", "a dog"]}),
    "question-answering": (
        QuestionAnsweringTask(impossible=True),
        {"question": ["cat ?", "the", "a " * 40], "context": [LONG, "the dog", LONG]},
    ),
    "embedding": (EmbeddingTask(), {"text": TEXTS}),
    "ranking": (RankingTask(), {"query": TEXTS, "candidates": SEVERAL}),
    "summarization": (SummarizationTask(2), {"sentences": SEVERAL}),
    "generation": (GenerationTask(Decoding(max_target=6, beams=2, answers=2)), {"text": TEXTS}),
    "fill-mask": (None, {"text": ["the [MASK] sat on a [MASK] .", "a cat", "[MASK]"]}),
}
CLIENTS = {
    "tf.saved_model.load": ["served_client.py", "object"],
    "a session": ["served_client.py", "session"],
    "the C API": ["c_api_client.py"],
}


ALWAYS = ["classification of pairs", "crf"]
"""The tasks that the default run exports; the slow one exports all of them."""


@pytest.fixture(scope="module")
def model_of(tmp_path_factory, make_task_model, pretrained, small_config):
    """Gives the model folder of a task, with one block: tracing takes most of the time."""
    root = tmp_path_factory.mktemp("models")
    config = small_config.replace(num_hidden_layers=1)

    def folder(name):
        task, _ = TASKS[name]
        if task is None:
            return pretrained
        return root / name if (root / name).exists() else make_task_model(root / name, task, config=config)

    return folder


def asked_and_expected(root, models):
    """A request to each signature of an export of each model, with the answers of the model itself."""
    requests, expected = [], []
    for name, folder in models.items():
        inputs = TASKS[name][1]
        exported = str(export_saved_model(folder, output=root / name))
        predictor = load(folder)
        requests.append({"folder": exported, "signature": "serving_default", "inputs": inputs})
        expected.append(predictor.answers(*inputs.values()))
        text_model = predictor.text_model
        encoded = text_model.task.encode(text_model.encode, inputs)
        tokens = {feature.name: encoded[feature.name].numpy() for feature in text_model.task.model_features}
        outputs = text_model.from_tokens(*tokens.values())
        tokens = {name: values.tolist() for name, values in tokens.items()}
        requests.append({"folder": exported, "signature": "tokens", "inputs": tokens})
        expected.append({name: values.numpy() for name, values in outputs.items()})
        serialized = [example.SerializeToString() for example in examples(inputs)]
        for signature, function in example_signatures(text_model).items():
            encoded = [base64.b64encode(each).decode() for each in serialized]
            requests.append({"folder": exported, "signature": signature, "inputs": {"inputs": encoded}, "base64": True})
            expected.append({name: values.numpy() for name, values in function(tf.constant(serialized)).items()})
    return requests, expected


@pytest.mark.long
@pytest.mark.parametrize("names", [ALWAYS, pytest.param(list(TASKS), marks=pytest.mark.slow)], ids=["some", "all"])
def test_exported_graphs_answer_as_the_models(tmp_path, model_of, names):
    """One test for all clients, since the exports take most of the time."""
    asked, expected = asked_and_expected(tmp_path, {name: model_of(name) for name in names})
    path = tmp_path / "requests.json"
    path.write_text(json.dumps(asked))
    for client, (script, *arguments) in CLIENTS.items():
        result = subprocess.run(
            [sys.executable, Path(__file__).parent / script, *arguments, path],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, (client, result.stderr)
        served = json.loads(result.stdout)
        assert len(served) == len(expected) >= 2 * len(names) + 1
        for request, answers, wanted in zip(asked, served, expected, strict=True):
            where = f"{client}: {request['folder']}, {request['signature']}"
            assert answers.keys() == wanted.keys(), where
            for output, values in wanted.items():
                if values.dtype.kind == "f":
                    np.testing.assert_allclose(answers[output], values, atol=1e-5, err_msg=where)
                else:
                    texts = np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v, otypes=[object])(values)
                    assert answers[output] == texts.tolist(), (where, output)
            assert any(values.size for values in wanted.values())


@pytest.mark.parametrize(
    "name",
    [
        "tagging",
        "question-answering",
        "multilabel",
        "embedding",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("classification", "regression", "ranking", "summarization")
        ),
    ],
)
@pytest.mark.long
def test_the_litert_model_is_checked_before_it_is_written(tmp_path, name, model_of):
    assert export_litert(model_of(name), output=tmp_path / "m.tflite").stat().st_size > 10_000
