"""A server with the page and models of all tasks."""

import contextlib
import json
import threading

import pytest
import tensorflow as tf
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from kbert.export.saved_model import export_saved_model
from kbert.prediction.loading import load
from kbert.serving.models import ServedModels
from kbert.serving.page.routes import page_routes
from kbert.serving.rest import create_app

DTYPES = {"string": "DT_STRING", "float32": "DT_FLOAT", "int32": "DT_INT32", "int64": "DT_INT64", "bool": "DT_BOOL"}


def described(models, folder):
    """The content of /kbert/models, with the manifests in FOLDER/NAME/manifest.json."""
    listed = []
    for path in sorted(folder.iterdir()):
        manifest = path / "manifest.json"
        signatures = {
            name: {
                side: {
                    key: {
                        "dtype": DTYPES[info.dtype],
                        "shape": None if info.shape is None else [-1 if size is None else size for size in info.shape],
                    }
                    for key, info in getattr(signature, side).items()
                }
                for side in ("inputs", "outputs")
            }
            for name, signature in models.get(path.name).signatures.items()
        }
        versions = [
            {"version": str(status.version), "state": status.state, "labels": []} for status in models.status(path.name)
        ]
        versions.append({"version": "9", "state": "END", "labels": []})
        listed.append(
            {
                "name": path.name,
                "versions": versions,
                "manifest": json.loads(manifest.read_text()) if manifest.exists() else None,
                "signatures": signatures,
            }
        )
    return {"models": listed}


@contextlib.contextmanager
def running(app):
    """Serves an app from a thread; the target is its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", ws="none", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Numbers(tf.Module):
    """A model of unknown origin."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x"), tf.TensorSpec([None], tf.string)])
    def serving_default(self, x, name):
        return {"half": x / 2.0, "name": name, "none": x / 0.0}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="number")])
    def one_number(self, number):
        return {"next": number + 1}


@pytest.fixture(scope="session")
def tasks():
    """The tasks of the served models, by the names of the models."""
    from kbert.tasks.classification import ClassificationTask
    from kbert.tasks.embedding import EmbeddingTask
    from kbert.tasks.multilabel import MultilabelTask
    from kbert.tasks.multiple_choice import MultipleChoiceTask
    from kbert.tasks.question_answering import QuestionAnsweringTask
    from kbert.tasks.ranking import RankingTask
    from kbert.tasks.regression import RegressionTask
    from kbert.tasks.summarization import SummarizationTask
    from kbert.tasks.tagging import TaggingTask

    return {
        "films": ClassificationTask(["bad", "fine", "good"]),
        "entities": TaggingTask(["O", "B-animal", "I-animal", "B-thing", "I-thing"]),
        "questions": QuestionAnsweringTask(),
        "sentences": EmbeddingTask(),
        "genres": MultilabelTask(["crime", "love", "动作"], thresholds=[0.4, 0.5, 0.6]),
        "similarity": RegressionTask(True, 2.5, 1.5),
        "words": TaggingTask(["DET", "NOUN", "VERB"], per_word=True),
        "documents": RankingTask(),
        "endings": MultipleChoiceTask(),
        "summaries": SummarizationTask(2),
    }


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory, tasks, make_task_model, pretrained, small_config):
    """The folders of the models."""
    root = tmp_path_factory.mktemp("page_models")
    config = small_config.replace(num_hidden_layers=1, max_position_embeddings=64)
    made = {name: make_task_model(root / name, task, config=config, sequence_length=48) for name, task in tasks.items()}
    return {**made, "masks": pretrained}


@pytest.fixture(scope="session")
def predictors(model_folders):
    """The models themselves, which give the right answers."""
    return {name: load(folder) for name, folder in model_folders.items()}


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory, model_folders, predictors):
    """The exports of the models with their manifests, and a model of unknown origin."""
    root = tmp_path_factory.mktemp("page_served")
    for name, predictor in predictors.items():
        export_saved_model(model_folders[name], output=root / name, version=1)
        labels = getattr(predictor.task, "labels", None)
        manifest = {
            "format": 1,
            "kbert": "0.1.0",
            "task": predictor.task.name,
            "text_inputs": [text.name for text in predictor.task.text_inputs],
            "labels": labels and list(labels),
            "vocabulary_sha256": "",
            "metrics": {"examples": 100, "accuracy": 0.91234},
            "command": None,
        }
        (root / name / "manifest.json").write_text(json.dumps(manifest))
    module = Numbers()
    tf.saved_model.save(
        module,
        str(root / "numbers" / "1"),
        signatures={"serving_default": module.serving_default, "one_number": module.one_number},
    )
    return root


@pytest.fixture(scope="session")
def server(served_folder):
    """The address of a server with the page and all models."""
    with ServedModels(served_folder, poll_seconds=60) as models:

        def list_models():
            return described(models, served_folder)

        listing = Route("/kbert/models", lambda request: JSONResponse(list_models()))
        with running(Starlette(routes=[*page_routes(list_models), listing, *create_app(models).routes])) as address:
            yield address
