import concurrent.futures
import contextlib
import shutil
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import ServingError
from kbert.serving.batching.scheduler import BatchScheduler
from kbert.serving.request_error import RequestError
from kbert.serving.served_models import model_versions
from kbert.serving.served_models.loading import load_model
from kbert.serving.served_models.model_config import ModelConfig, VersionPolicy
from kbert.serving.served_models.model_versions import VersionStatus
from kbert.serving.served_models.served_models import ServedModels
from kbert.serving.served_models.served_version import ServedVersion
from kbert.serving.served_models.sources import FolderSource

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


@contextlib.contextmanager
def served(source, poll_seconds=NEVER):
    """Serves the models of a folder, or of another source."""
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        scheduler = BatchScheduler(1)

        def load(name, version, folder):
            model, _ = load_model(folder, engine="auto", timeout=10, trusted=False)
            return ServedVersion(
                name, version, model, manifest=None, executor=executor, scheduler=scheduler, parameters=None
            )

        source = source if callable(source) else FolderSource(source)
        try:
            with ServedModels(source, load, poll_seconds=poll_seconds) as models:
                yield models
        finally:
            scheduler.close()


def ask(models, name, version=None, label=None):
    with models.use(name, version, label) as model:
        return answer(model)


def answer(model):
    return model.submit("serving_default", {"text": np.array([b"a"], dtype=object)}, ()).result()["number"].tolist()


def test_the_largest_version_of_every_model_is_served(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    put(exports, 2, tmp_path / "many" / "9")
    put(exports, 3, tmp_path / "many" / "10")
    with served(tmp_path) as models:
        assert ask(models, "one") == [1]
        assert ask(models, "many") == [3]
        assert ask(models, "many", 10) == [3]
        with pytest.raises(RequestError, match=r"^Servable not found for request: Specific\(many, 9\)$"):
            ask(models, "many", 9)
        assert models.status("many") == [VersionStatus(10, "AVAILABLE")]


def test_a_folder_that_holds_versions_is_one_model(exports, tmp_path):
    put(exports, 2, tmp_path / "sentiment" / "1")
    with served(tmp_path / "sentiment") as models:
        assert ask(models, "sentiment") == [2]


def test_a_model_may_have_a_number_as_its_name(exports, tmp_path):
    put(exports, 2, tmp_path / "2024" / "1")
    with served(tmp_path) as models:
        assert ask(models, "2024") == [2]


def test_hidden_unfinished_and_other_folders_are_no_models(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    put(exports, 1, tmp_path / ".hidden" / "1")
    put(exports, 1, tmp_path / "copy.part" / "1")
    put(exports, 2, tmp_path / "one" / ".2.part")
    put(exports, 2, tmp_path / "one" / "best")
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").write_text("about")
    with served(tmp_path) as models:
        assert ask(models, "one") == [1]
        for name in (".hidden", "copy.part", "empty", "README.md"):
            with pytest.raises(RequestError, match=r"^Could not find any versions of model"):
                models.status(name)


def test_new_versions_and_models_take_over_and_requests_of_the_old_one_finish(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        put(exports, 2, tmp_path / "one" / "2")
        put(exports, 3, tmp_path / "another" / "1")
        with models.use("one") as old:
            scan = threading.Thread(target=models.scan)
            scan.start()
            wait_until(lambda: models.status("one", 1)[0].state == "UNLOADING")
            assert ask(models, "one") == [2]
            assert answer(old) == [1]
        scan.join()
        assert ask(models, "another") == [3]
        assert models.status("one") == [VersionStatus(2, "AVAILABLE"), VersionStatus(1, "END")]
        assert models.status("one", 1) == [VersionStatus(1, "END")]
        with pytest.raises(RequestError, match=r"^Could not find version 7 of model one$"):
            models.status("one", 7)


@pytest.mark.long
def test_removing_a_version_serves_the_one_below_and_removing_all_unloads_the_model(exports, tmp_path):
    put(exports, 3, tmp_path / "stays" / "1")
    put(exports, 1, tmp_path / "one" / "1")
    put(exports, 2, tmp_path / "one" / "2")
    with served(tmp_path) as models:
        shutil.rmtree(tmp_path / "one" / "2")
        models.scan()
        assert ask(models, "one") == [1]
        models.scan()
        assert models.status("one") == [VersionStatus(1, "AVAILABLE")]
        shutil.rmtree(tmp_path / "one")
        models.scan()
        with pytest.raises(RequestError, match=r"^Servable not found for request: Latest\(one\)$"):
            ask(models, "one")
        assert ask(models, "stays") == [3]


def test_a_version_that_fails_is_reported_and_the_older_one_goes_on(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        put_broken(tmp_path / "one" / "2")
        models.scan()
        assert ask(models, "one") == [1]
        broken, older = models.status("one")
        assert (broken.version, broken.state, older) == (2, "END", VersionStatus(1, "AVAILABLE"))
        assert broken.error_code != "OK"
        assert "saved_model.pb" in broken.error_message
        assert "\n" not in broken.error_message


def test_the_newest_version_may_fail_at_the_start(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    put_broken(tmp_path / "one" / "2")
    with served(tmp_path) as models:
        assert ask(models, "one") == [1]
        assert [status.state for status in models.status("one")] == ["END", "AVAILABLE"]


def test_a_version_that_was_being_copied_is_tried_again_once_it_changes(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        target = tmp_path / "one" / "2"
        target.mkdir()
        shutil.copy(exports / "2" / "saved_model.pb", target)
        models.scan()
        assert models.status("one", 2)[0].error_code == "INTERNAL"
        shutil.copytree(exports / "2", target, dirs_exist_ok=True)
        models.scan()
        assert ask(models, "one") == [2]
        assert models.status("one", 2) == [VersionStatus(2, "AVAILABLE")]


def test_the_folder_is_looked_at_while_serving(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path, 0.05) as models:
        put(exports, 2, tmp_path / "one" / "2")
        deadline = time.monotonic() + 10
        while ask(models, "one") != [2] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ask(models, "one") == [2]


def test_a_folder_that_vanishes_leaves_what_is_loaded(exports, tmp_path):
    put(exports, 1, tmp_path / "base" / "one" / "1")
    with served(tmp_path / "base", 0.02) as models:
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
        FolderSource(tmp_path / "missing")
    with pytest.raises(
        ServingError, match=r"^expected a folder that holds NAME/VERSION/saved_model\.pb.*, which has no such file$"
    ):
        FolderSource(tmp_path)


def test_a_folder_where_nothing_loads_is_refused(tmp_path):
    put_broken(tmp_path / "one" / "2")
    with pytest.raises(ServingError, match=r"can be loaded\. Received: one, version 2: .*saved_model\.pb") as raised:
        served(tmp_path).__enter__()
    assert "\n" not in str(raised.value)


def test_policies_and_labels_choose_versions(exports, tmp_path):
    for number in (1, 2, 3):
        put(exports, number, tmp_path / "one" / str(number))
    policy, labels = VersionPolicy(specific=(1, 3)), {"stable": 1, "canary": 3}
    configs = [ModelConfig("one", tmp_path / "one", policy, labels)]
    with served(lambda: configs) as models:
        assert ask(models, "one", label="stable") == [1]
        assert ask(models, "one", label="canary") == [3]
        assert ask(models, "one") == [3]
        with pytest.raises(RequestError, match=r"^Unrecognized servable version label: best$") as raised:
            ask(models, "one", label="best")
        assert raised.value.code == "INVALID_ARGUMENT"
        assert models.is_ready()
        models.reconfigure([ModelConfig("one", tmp_path / "one", VersionPolicy(all_versions=True))])
        assert [ask(models, "one", version) for version in (1, 2, 3)] == [[1], [2], [3]]
        models.reconfigure([ModelConfig("one", tmp_path / "one", VersionPolicy(latest=2))])
        assert models.status("one") == [
            VersionStatus(3, "AVAILABLE"),
            VersionStatus(2, "AVAILABLE"),
            VersionStatus(1, "END"),
        ]


def test_a_label_of_a_version_that_is_not_loaded_is_refused(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        with pytest.raises(RequestError, match=r"^Request to assign label to version 2 of model one, which is not"):
            models.reconfigure([ModelConfig("one", tmp_path / "one", labels={"stable": 2})])
        with pytest.raises(RequestError, match=r"^Unrecognized servable version label"):
            ask(models, "one", label="stable")


def test_a_model_that_cannot_be_loaded_is_told_after_a_reload(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    put_broken(tmp_path / "two" / "1")
    with served(lambda: [ModelConfig("one", tmp_path / "one")]) as models:
        with pytest.raises(RequestError, match=r"^1 servable\(s\) did not become available: {name: two version: 1}"):
            models.reconfigure([ModelConfig(name, tmp_path / name) for name in ("one", "two")])
        assert ask(models, "one") == [1]
        assert not models.is_ready()


def test_a_model_without_a_version_is_told_after_a_reload(exports, tmp_path, monkeypatch):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        expected = r"^1 servable\(s\) did not become available: {name: none} due to error: its folder holds no version"
        with pytest.raises(RequestError, match=expected):
            models.reconfigure([ModelConfig(name, tmp_path / name) for name in ("one", "none")])

        def unreadable(folder):
            raise PermissionError(13, "Permission denied", str(folder))

        monkeypatch.setattr(model_versions, "version_folders", unreadable)
        with pytest.raises(RequestError, match=r"{name: one} due to error: .*Permission denied"):
            models.reconfigure([ModelConfig("one", tmp_path / "one")])


def test_labels_that_cannot_be_set_are_told_once_while_serving(exports, tmp_path, caplog):
    put(exports, 1, tmp_path / "one" / "1")
    configs = [ModelConfig("one", tmp_path / "one")]
    with served(lambda: configs, poll_seconds=0.02) as models:
        configs[:] = [ModelConfig("one", tmp_path / "one", labels={"stable": 2})]
        wait_until(lambda: any("stay as they are" in record.getMessage() for record in caplog.records))
        time.sleep(0.1)
        assert ask(models, "one") == [1]
    said = [record.getMessage() for record in caplog.records if "stay as they are" in record.getMessage()]
    assert said == [
        "the labels of the model stay as they are: Request to assign label to version 2 of model one, which is not "
        "currently available for inference"
    ]


def test_models_are_freed_if_the_server_does_not_start(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    loaded = []

    class Version:
        def __init__(self, name, version, folder):
            self.is_retired = False
            loaded.append(self)

        def retire(self):
            self.is_retired = True

    configs = [ModelConfig("one", tmp_path / "one", labels={"stable": 2})]
    with pytest.raises(ServingError, match=r"^Request to assign label to version 2"):
        ServedModels(lambda: configs, Version, poll_seconds=0).__enter__()
    assert [each.is_retired for each in loaded] == [True]


def test_it_is_ready_only_with_all_wanted_versions(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        assert models.is_ready()
        put_broken(tmp_path / "one" / "2")
        models.scan()
        assert not models.is_ready()
        assert models.is_available()
        shutil.rmtree(tmp_path / "one" / "2")
        models.scan()
        assert models.is_ready()


def test_a_label_moves_before_the_version_that_it_leaves_is_unloaded(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    put(exports, 2, tmp_path / "one" / "2")

    def config(version):
        return [ModelConfig("one", tmp_path / "one", VersionPolicy(specific=(version,)), {"stable": version})]

    configs = config(1)
    with served(lambda: configs) as models:
        with models.use("one", label="stable") as old:
            configs = config(2)
            scan = threading.Thread(target=models.scan)
            scan.start()
            # Version 1 is in use, so that it cannot be unloaded yet.
            wait_until(lambda: models.status("one", 1)[0].state == "UNLOADING")
            assert ask(models, "one", label="stable") == [2]
            assert answer(old) == [1]
        scan.join()


def test_a_model_that_cannot_be_read_does_not_stop_the_others(exports, tmp_path, monkeypatch, caplog):
    put(exports, 1, tmp_path / "one" / "1")
    put(exports, 1, tmp_path / "two" / "1")
    configs = [ModelConfig(name, tmp_path / name) for name in ("one", "two")]
    with served(lambda: configs) as models:
        put(exports, 2, tmp_path / "two" / "2")
        found = model_versions.version_folders

        def folders(folder):
            if folder.name == "one":
                raise PermissionError(13, "Permission denied", str(folder))
            return found(folder)

        monkeypatch.setattr(model_versions, "version_folders", folders)
        models.scan()
        models.scan()
        assert ask(models, "one") == [1]
        assert ask(models, "two") == [2]
        said = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
        assert len(said) == 1
        assert said[0].startswith("one cannot be read; it is served as before: ")


def test_a_link_without_a_target_is_a_part_of_a_broken_version(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        put_broken(tmp_path / "one" / "2")
        (tmp_path / "one" / "2" / "link").symlink_to(tmp_path / "nowhere")
        models.scan()
        assert models.status("one", 2)[0].state == "END"
        put(exports, 3, tmp_path / "one" / "3")
        models.scan()
        assert ask(models, "one") == [3]


@pytest.mark.long
def test_a_broken_version_that_comes_back_is_reported_again(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        put_broken(tmp_path / "one" / "2")
        models.scan()
        (tmp_path / "one" / "2").rename(tmp_path / "moved")
        models.scan()
        with pytest.raises(RequestError, match=r"^Could not find version 2 of model one$"):
            models.status("one", 2)
        (tmp_path / "moved").rename(tmp_path / "one" / "2")
        models.scan()
        assert models.status("one", 2)[0].state == "END"


def test_nothing_is_served_after_the_end(exports, tmp_path):
    put(exports, 1, tmp_path / "one" / "1")
    with served(tmp_path) as models:
        assert models.queue_lengths() == {"one": 0}
        assert models.knows("one")
        assert not models.knows("two")
    with pytest.raises(RequestError, match=r"^Servable not found for request: Latest\(one\)$"):
        ask(models, "one")


def wait_until(is_true):
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
