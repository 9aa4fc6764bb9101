"""A version that LiteRT runs answers as the model, for each task."""

import json

import httpx
import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import ServingError
from kbert.export.saved_model import export_saved_model
from kbert.prediction.loading import load
from kbert.serving.options import ServeOptions
from kbert.serving.served_models.litert_file_model import LiteRtFileModel
from kbert.serving.served_models.litert_model import LiteRtModel
from kbert.serving.served_models.loading import load_model
from kbert.serving.server import running_server
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.tagging import TaggingTask

LONG = "the cat sat on the mat . Ünaffable dogs ran 中文 ! " * 5
TEXTS = [LONG, "", "a dog"]
CHOICES = [["the mat", LONG, "", ""], ["a", "b", "中", "ran"], ["fast", "", "slow", ""]]
CLASSES = ClassificationTask(["no", "yes"], paired=True)
TASKS = {
    "classification": (CLASSES, {"text": TEXTS, "text_pair": TEXTS[::-1]}),
    "tagging": (TaggingTask(["O", "B-a", "I-a"], crf=True), {"text": TEXTS}),
    "question-answering": (
        QuestionAnsweringTask(impossible=True),
        {"question": ["cat ?", "the", "a " * 40], "context": [LONG, "the dog", LONG]},
    ),
    "embedding": (EmbeddingTask(), {"text": TEXTS}),
    "multiple-choice": (MultipleChoiceTask(), {"prompt": TEXTS, "choices": CHOICES}),
}


def load_version(folder, engine="auto"):
    model, _ = load_model(folder, engine=engine, timeout=0, trusted=False)
    return model


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in TASKS if name != "classification"]


def as_bytes(texts):
    """An object array of bytes, as requests have them."""
    return np.char.encode(np.array(texts), "utf-8").astype(object)


@pytest.mark.long
@pytest.mark.parametrize("name", ["classification", *SLOW])
def test_it_answers_as_the_model(tmp_path, make_task_model, small_config, name):
    task, texts = TASKS[name]
    folder = make_task_model(tmp_path / "model", task, config=small_config.replace(num_hidden_layers=1))
    model = load_version(export_saved_model(folder, output=tmp_path / "served", litert_encoder="none"))
    assert isinstance(model, LiteRtModel)
    assert not any(name.startswith("kbert_") for name in model.signatures)
    inputs = {key: as_bytes(rows) for key, rows in texts.items()}
    received = model.run("serving_default", inputs)
    expected = load(folder).text_model.from_text(*(tf.constant(rows) for rows in texts.values()))
    assert received.keys() == expected.keys()
    for key, values in expected.items():
        if values.dtype.is_floating:
            np.testing.assert_allclose(received[key], values.numpy(), rtol=0, atol=1e-4)
        else:
            np.testing.assert_array_equal(received[key], values.numpy())


@pytest.fixture(scope="module")
def versions(tmp_path_factory, make_task_model, small_config):
    """A model in three versions: without LiteRT, with an encoder for it, and with model.tflite."""
    root = tmp_path_factory.mktemp("films")
    folder = make_task_model(
        root / "model", ClassificationTask(["bad", "good"]), config=small_config.replace(num_hidden_layers=1)
    )
    export_saved_model(folder, output=root / "plain", version=1)
    export_saved_model(folder, output=root / "encoder", version=1, litert_encoder="dynamic")
    export_saved_model(folder, output=root / "file", version=1, litert="none")
    return root


@pytest.mark.slow
def test_the_engine_is_chosen(versions):
    assert isinstance(load_version(versions / "encoder" / "1", "litert"), LiteRtModel)
    assert isinstance(load_version(versions / "file" / "1", "litert"), LiteRtFileModel)
    for name in ("plain", "file"):
        assert not isinstance(load_version(versions / name / "1", "auto"), (LiteRtModel, LiteRtFileModel))
    assert not isinstance(load_version(versions / "encoder" / "1", "tensorflow"), LiteRtModel)
    with pytest.raises(ServingError, match=r"^expected assets\.extra/encoder\.tflite, which kbert export saved-model"):
        load_version(versions / "plain" / "1", "litert")


@pytest.mark.slow
def test_a_model_file_is_served_for_any_number_of_tokens(versions):
    options = ServeOptions(rest_port=0, grpc=False, engine="litert")
    with running_server(versions / "file", options=options) as server:
        url = f"{server.url}/v1/models/file"
        (signature,) = httpx.get(f"{url}/metadata").json()["metadata"]["signature_def"]["signature_def"].values()
        assert signature["inputs"]["input_word_ids"]["dtype"] == "DT_INT32"
        assert [each["size"] for each in signature["inputs"]["input_word_ids"]["tensor_shape"]["dim"]] == ["-1", "-1"]
        model = load_version(versions / "plain" / "1")
        for rows in ([[2, 5, 3]], [[2, 5, 6, 3], [2, 5, 3, 0]]):
            received = json.loads(httpx.post(f"{url}:predict", json={"inputs": rows}).content)["outputs"]
            ids = np.array(rows, np.int32)
            tokens = {"input_word_ids": ids, "input_mask": (ids != 0).astype(np.int32), "input_type_ids": ids * 0}
            np.testing.assert_allclose(received, model.run("tokens", tokens)["probabilities"], rtol=0, atol=1e-4)
        answer = httpx.post(f"{url}:predict", json={"inputs": [[2, 999_999, 3]]})
        assert answer.status_code in (200, 400)
