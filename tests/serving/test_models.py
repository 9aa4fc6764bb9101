import shutil
import time

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import ServingError
from kbert.serving.models import ServedModels, VersionStatus
from kbert.serving.request_error import RequestError

# Nothing is polled unless a test asks for it: scan() looks at the folder when the test says so.
NEVER = 3600.0


class Constant(tf.Module):
    """Answers the same number for every text, so that a test sees which version answered."""

    def __init__(self, number):
        self.number = tf.Variable(number)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"number": tf.fill([tf.size(text)], self.number)}


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Maps 1, 2 and 3 to SavedModels that answer 1, 2 and 3."""
    folder = tmp_path_factory.mktemp("exports")
    for number in (1, 2, 3):
        module = Constant(number)
        tf.saved_model.save(module, str(folder / str(number)), signatures=module.serving_default)
    return folder


def put(exports, number, target):
    """Puts a SavedModel in place as kbert does: copied under a hidden name, then renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = target.parent / f".{target.name}.part"
    shutil.copytree(exports / str(number), hidden)
    hidden.rename(target)


def put_broken(target):
    target.mkdir(parents=True)
    (target / "saved_model.pb").write_bytes(b"not a protocol buffer")


def ask(models, name, version=None):
    model = models.get(name, version)
    return model.run("serving_default", {"text": np.array([b"a"], dtype=object)})["number"].tolist()


def test_the_largest_version_of_every_model_is_served(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    put(exports, 2, tmp_path / "many" / "9")
    put(exports, 3, tmp_path / "many" / "10")
    with ServedModels(tmp_path, poll_seconds=NEVER) as models:
        assert ask(models, "one") == [1]
        assert ask(models, "many") == [3]
        assert ask(models, "many", 10) == [3]
        with pytest.raises(RequestError, match=r"^Servable not found for request: Specific\(many, 9\)$"):
            models.get("many", 9)
        assert models.status("many") == [VersionStatus(10, "AVAILABLE")]


def test_a_folder_that_holds_versions_is_one_model(exports, tmp_path):
    put(exports, 2, tmp_path / "sentiment" / "1")
    with ServedModels(tmp_path / "sentiment", poll_seconds=NEVER) as models:
        assert ask(models, "sentiment") == [2]


def test_a_model_may_have_a_number_as_its_name(exports, tmp_path):
    put(exports, 2, tmp_path / "2024" / "1")
    with ServedModels(tmp_path, poll_seconds=NEVER) as models:
        assert ask(models, "2024") == [2]


def test_hidden_unfinished_and_other_folders_are_no_models(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    put(exports, 1, tmp_path / ".hidden" / "1")
    put(exports, 1, tmp_path / "copy.part" / "1")
    put(exports, 2, tmp_path / "one" / ".2.part")
    put(exports, 2, tmp_path / "one" / "best")
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").write_text("about")
    with ServedModels(tmp_path, poll_seconds=NEVER) as models:
        assert ask(models, "one") == [1]
        for name in (".hidden", "copy.part", "empty", "README.md"):
            with pytest.raises(RequestError, match=r"^Could not find any versions of model"):
                models.status(name)


def test_new_versions_and_models_take_over_and_calls_of_the_old_one_finish(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with ServedModels(tmp_path, poll_seconds=NEVER) as models:
        old = models.get("one")
        put(exports, 2, tmp_path / "one" / "2")
        put(exports, 3, tmp_path / "another" / "1")
        models.scan()
        assert ask(models, "one") == [2]
        assert ask(models, "another") == [3]
        assert old.run("serving_default", {"text": []})["number"].tolist() == []
        assert models.status("one") == [VersionStatus(2, "AVAILABLE"), VersionStatus(1, "END")]
        assert models.status("one", 1) == [VersionStatus(1, "END")]
        with pytest.raises(RequestError, match=r"^Could not find version 7 of model one$"):
            models.status("one", 7)


def test_removing_a_version_serves_the_one_below_and_removing_all_unloads_the_model(exports, tmp_path):
    put(exports, 3, tmp_path / "stays" / "1")
    put(exports, 1, tmp_path / "one" / "1")
    put(exports, 2, tmp_path / "one" / "2")
    with ServedModels(tmp_path, poll_seconds=NEVER) as models:
        shutil.rmtree(tmp_path / "one" / "2")
        models.scan()
        assert ask(models, "one") == [1]
        models.scan()
        assert models.status("one") == [VersionStatus(1, "AVAILABLE")]
        shutil.rmtree(tmp_path / "one")
        models.scan()
        with pytest.raises(RequestError, match=r"^Servable not found for request: Latest\(one\)$"):
            models.get("one")
        assert ask(models, "stays") == [3]


def test_a_version_that_fails_is_reported_and_the_older_one_goes_on(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with ServedModels(tmp_path, poll_seconds=NEVER) as models:
        put_broken(tmp_path / "one" / "2")
        models.scan()
        assert ask(models, "one") == [1]
        broken, served = models.status("one")
        assert (broken.version, broken.state, served) == (2, "END", VersionStatus(1, "AVAILABLE"))
        assert broken.error_code != "OK"
        assert "saved_model.pb" in broken.error_message
        assert "\n" not in broken.error_message


def test_the_newest_version_may_fail_at_the_start(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    put_broken(tmp_path / "one" / "2")
    with ServedModels(tmp_path, poll_seconds=NEVER) as models:
        assert ask(models, "one") == [1]
        assert [status.state for status in models.status("one")] == ["END", "AVAILABLE"]


def test_a_version_that_was_being_copied_is_tried_again_once_it_changes(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with ServedModels(tmp_path, poll_seconds=NEVER) as models:
        target = tmp_path / "one" / "2"
        target.mkdir()
        shutil.copy(exports / "2" / "saved_model.pb", target)
        models.scan()
        assert models.status("one", 2)[0].error_code == "NOT_FOUND"
        shutil.copytree(exports / "2", target, dirs_exist_ok=True)
        models.scan()
        assert ask(models, "one") == [2]
        assert models.status("one", 2) == [VersionStatus(2, "AVAILABLE")]


def test_the_folder_is_looked_at_while_serving(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with ServedModels(tmp_path, poll_seconds=0.05) as models:
        put(exports, 2, tmp_path / "one" / "2")
        deadline = time.monotonic() + 10
        while ask(models, "one") != [2] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ask(models, "one") == [2]


def test_a_folder_that_vanishes_leaves_what_is_loaded(exports, tmp_path):
    put(exports, 1, tmp_path / "base" / "one" / "1")
    with ServedModels(tmp_path / "base", poll_seconds=0.02) as models:
        (tmp_path / "base").rename(tmp_path / "moved")
        time.sleep(0.1)
        assert ask(models, "one") == [1]
        put(exports, 2, tmp_path / "moved" / "one" / "2")
        (tmp_path / "moved").rename(tmp_path / "base")
        deadline = time.monotonic() + 10
        while ask(models, "one") != [2] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ask(models, "one") == [2]


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(
        ServingError, match=r"^expected a folder that holds NAME/VERSION/.* Received: .*missing, which is not a folder$"
    ):
        ServedModels(tmp_path / "missing").__enter__()
    with pytest.raises(
        ServingError, match=r"^expected a folder that holds NAME/VERSION/saved_model\.pb.*, which has no such file$"
    ):
        ServedModels(tmp_path).__enter__()


def test_a_folder_where_nothing_loads_is_refused(tmp_path):
    put_broken(tmp_path / "one" / "2")
    with pytest.raises(
        ServingError, match=r"can be loaded in .* Received: one, version 2: .*saved_model\.pb"
    ) as raised:
        ServedModels(tmp_path).__enter__()
    assert "\n" not in str(raised.value)


def test_a_signature_that_is_not_there_is_named_with_those_that_are(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with (
        ServedModels(tmp_path, poll_seconds=NEVER) as models,
        pytest.raises(RequestError, match=r'one of: serving_default\. Received: "scores"$'),
    ):
        models.get("one").signature("scores")
