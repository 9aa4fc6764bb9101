import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from kbert.errors import ServingError
from kbert.serving.served_models.loading import load_model
from kbert.serving.served_models.object_model import ObjectModel
from kbert.serving.served_models.session_model import SessionModel

WORDS = ["cat", "dog", "mat"]


class Lookup(tf.Module):
    """Answers the position of a word in a file."""

    def __init__(self, words):
        initializer = tf.lookup.TextFileInitializer(
            str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(initializer, -1)
        self.number = tf.Variable(tf.constant(10, tf.int64))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        return {"position": self.table.lookup(text) + self.number}


class Reader(tf.Module):
    """Reads any file."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="path")])
    def serving_default(self, path):
        return {"content": tf.io.read_file(path)}


@pytest.fixture(scope="module")
def lookup(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lookup")
    (folder / "words.txt").write_text("\n".join(WORDS))
    module = Lookup(folder / "words.txt")
    tf.saved_model.save(module, str(folder / "1"), signatures=module.serving_default)
    (folder / "words.txt").unlink()
    return folder / "1"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader") / "1"
    module = Reader()
    tf.saved_model.save(module, str(folder), signatures=module.serving_default)
    return folder


def load(folder, *, trusted=False):
    return load_model(folder, engine="auto", timeout=10, trusted=trusted)[0]


def positions(model):
    texts = np.array([b"dog", b"fish"], dtype=object)
    return model.run("serving_default", {"text": texts})["position"].tolist()


def read(folder):
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((folder / "saved_model.pb").read_bytes())
    return saved_model


def copied(folder, target):
    shutil.copytree(folder, target)
    return target


def test_tables_of_assets_are_served(lookup):
    model = load(lookup)
    assert isinstance(model, SessionModel)
    assert positions(model) == [11, 9]
    model.close()


def test_tables_of_assets_are_served_from_objects(tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    module = Lookup(tmp_path / "words.txt")
    # A session leaves variables of Keras in a tf.Module without values.
    module.number = keras.Variable(10, dtype="int64")
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.serving_default)
    (tmp_path / "words.txt").unlink()
    model = load(tmp_path / "1")
    assert isinstance(model, ObjectModel)
    assert positions(model) == [11, 9]
    model.close()


def test_models_of_version_1_are_served(tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        text = tf.compat.v1.placeholder(tf.string, [None])
        file = tf.constant(str(tmp_path / "words.txt"))
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, file)
        initializer = tf.lookup.TextFileInitializer(
            file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        number = tf.compat.v1.get_variable("number", initializer=tf.constant(10, tf.int64), use_resource=False)
        position = tf.lookup.StaticHashTable(initializer, -1).lookup(text) + number
        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        tf.compat.v1.saved_model.simple_save(
            session,
            str(tmp_path / "1"),
            {"text": text},
            {"position": position},
            legacy_init_op=tf.compat.v1.tables_initializer(),
        )
    (tmp_path / "words.txt").unlink()
    model = load(tmp_path / "1")
    assert positions(model) == [11, 9]
    model.close()


def test_a_graph_that_reads_files_is_served_only_if_it_is_trusted(reader, tmp_path):
    with pytest.raises(ServingError, match=r"^expected a graph that only computes\. Received: the operation ReadFile"):
        load(reader)
    (tmp_path / "file").write_text("secret")
    model = load(reader, trusted=True)
    path = np.array(str(tmp_path / "file").encode(), dtype=object)
    assert model.run("serving_default", {"path": path})["content"] == b"secret"
    model.close()


def test_the_graph_that_is_checked_is_the_one_that_is_loaded(lookup, reader, tmp_path):
    folder = copied(reader, tmp_path / "1")
    saved_model, hostile = read(lookup), read(folder)
    saved_model.meta_graphs[0].meta_info_def.tags.append("gpu")
    saved_model.meta_graphs.extend(hostile.meta_graphs)
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    with pytest.raises(ServingError, match="the operation ReadFile"):
        load(folder)


def test_other_tags_are_no_graph_for_serving(lookup, tmp_path):
    folder = copied(lookup, tmp_path / "1")
    saved_model = read(folder)
    saved_model.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    with pytest.raises(
        ServingError, match=r"^expected a graph with the tag serve alone in .* Received: the tags train$"
    ):
        load(folder)


def test_a_link_from_the_assets_to_another_place_is_refused(lookup, tmp_path):
    folder = copied(lookup, tmp_path / "1")
    (tmp_path / "secret").write_text("a\nb")
    (folder / "assets" / "words.txt").unlink()
    (folder / "assets" / "words.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(ServingError, match=r"Received: 'words.txt', a link to another place; the option trust_models"):
        load(folder)
    load(folder, trusted=True).close()


def test_a_folder_may_be_a_link_as_a_whole(lookup, tmp_path):
    (tmp_path / "1").symlink_to(lookup)
    model = load(tmp_path / "1")
    assert positions(model) == [11, 9]
    model.close()


def test_chunked_models_are_refused(lookup, tmp_path):
    folder = copied(lookup, tmp_path / "1")
    (folder / "saved_model.pb").rename(folder / "saved_model.cpb")
    with pytest.raises(ServingError, match=r"Received: saved_model\.cpb, whose operations cannot be checked"):
        load(folder)


def test_a_model_whose_warm_up_fails_is_closed(lookup, tmp_path, monkeypatch):
    folder = copied(lookup, tmp_path / "1")
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no records" * 10)
    closed = []
    close = SessionModel.close
    monkeypatch.setattr(SessionModel, "close", lambda model: (closed.append(model), close(model)))
    with pytest.raises(ServingError, match=r"^expected an answer to each warm-up request\. Received: Failed to read"):
        load(folder)
    assert len(closed) == 1
