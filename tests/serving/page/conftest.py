"""A server with the page and models of all tasks, and a browser that opens the page."""

import json
import re
import shutil

import pytest
import tensorflow as tf

from kbert.export.saved_model import export_saved_model
from kbert.prediction.loading import load
from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW = 60_000  # milliseconds; a model is slow at its first request
EXPLAINED = ("films", "entities", "questions")
"""The models whose exports have the signature that explains answers."""


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
    with pytest.MonkeyPatch.context() as patch:
        # The tests of exports compare the answers; here this would take most of the time.
        patch.setattr("kbert.export.saved_model._check", lambda *arguments: None)
        patch.setattr("kbert.export.saved_model.check_explanations", lambda *arguments: None)
        for name, predictor in predictors.items():
            folder = export_saved_model(model_folders[name], output=root / name, version=1, explain=name in EXPLAINED)
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
            (folder / "assets.extra" / "kbert.json").write_text(json.dumps(manifest), encoding="utf-8")
    module = Numbers()
    tf.saved_model.save(
        module,
        str(root / "numbers" / "1"),
        signatures={"serving_default": module.serving_default, "one_number": module.one_number},
    )
    return root


@pytest.fixture(scope="session")
def server(served_folder):
    """The address of a server of all models."""
    with running_server(served_folder, options=ServeOptions(rest_port=0, grpc=False, poll_seconds=0)) as running:
        yield running.url


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if CHROMIUM is None:
        pytest.skip("needs the program chromium (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Page:
    """The page of the server, as a person uses it."""

    def __init__(self, page):
        self.page = page
        self.problems = []
        self.addresses = []
        page.set_default_timeout(SLOW)
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda problem: self.problems.append(str(problem)))
        page.on("request", lambda request: self.addresses.append(request.url))

    def ask(self, model, **texts):
        """Chooses a model, types the texts of its fields, and clicks."""
        self.choose(model)
        for label, text in texts.items():
            # "Text" is not "Texts to compare"; what follows a comma or a colon is left out here.
            self.page.get_by_label(re.compile(rf"^{label.replace('_', ' ')}(?![ \w])")).fill(text)
        self.page.get_by_role("button", name="Send").click()
        self.page.wait_for_selector("#raw:not([hidden]), #problem:not(:empty)")

    def choose(self, model):
        self.page.get_by_label("Model", exact=True).select_option(model)

    def texts(self, selector):
        """The texts of all elements of a selector."""
        return self.page.locator(selector).all_text_contents()

    def text(self, selector):
        (text,) = self.texts(selector)
        return text

    def marks(self):
        """The marked parts of the text, without their labels."""
        return self.page.locator("mark").evaluate_all("marks => marks.map(mark => mark.firstChild.data)")

    def bars(self):
        """The names and the numbers of the bars."""
        return list(zip(self.texts(".bars .name"), self.texts(".bars .value"), strict=True))


@pytest.fixture
def page(browser, server):
    """The page; in the end nothing was written to the console and nothing was asked of other servers."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = Page(context.new_page())
    page.page.goto(f"{server}/")
    page.page.wait_for_selector("textarea")
    yield page
    assert page.problems == []
    assert [address for address in page.addresses if not address.startswith(f"{server}/")] == []
    context.close()
