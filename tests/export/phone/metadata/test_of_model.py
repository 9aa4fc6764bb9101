import pytest

from kbert.errors import UsageError
from kbert.export.phone.metadata.of_model import exported_model, metadata_of
from kbert.export.phone.metadata.programs import describe_openings
from kbert.model_folder.card import CardFields
from kbert.prediction.loading import load
from kbert.tasks.multilabel import MultilabelTask


@pytest.fixture(scope="module")
def films(classifier):
    return load(classifier)


def test_a_classifier_has_its_labels_and_its_card(films, vocabulary):
    metadata = metadata_of(films, name="films", card=CardFields("Ada L.", "mit"))
    assert (metadata.labels, metadata.exclusive, metadata.vocabulary) == (("bad", "fine", "good"), True, vocabulary)
    assert (metadata.description, metadata.author, metadata.license) == ("classification of texts", "Ada L.", "mit")


def test_the_temperature_of_three_exclusive_labels_is_refused(films):
    with pytest.raises(UsageError, match=r"temperature=2\.0 for 3 exclusive labels"):
        metadata_of(films, name="films", temperature=2.0)


def test_labels_of_a_multilabel_model_do_not_exclude_each_other(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "m", MultilabelTask(["a", "b", "c"])))
    assert metadata_of(model, name="m", temperature=2.0).files["score_calibration.txt"] == b"1,0.5,0\n1,0.5,0\n1,0.5,0"


def test_an_embedder_has_no_labels_and_says_its_prompt(embedder):
    assert metadata_of(load(embedder), name="m").labels is None
    described = metadata_of(load(embedder, prompt="query: "), name="m").description
    assert described.startswith("vectors of texts (")
    assert described.endswith('; put "query: " before each text')


def test_programs_that_open_an_export(films, pair_classifier):
    assert describe_openings(exported_model(films, sequence_length=24))[0] == (
        "MediaPipe's TextClassifier opens the model as it is"
    )
    assert describe_openings(exported_model(load(pair_classifier), sequence_length=24))[0] == (
        "MediaPipe's TextClassifier does not open the model: it takes pairs of texts, and the program gives it single "
        "texts"
    )
