import json

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources import named_datasets
from kbert.sources.content import content_sha256
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf-datasets:owner/name", ("owner/name", None, "train")),
        ("hf-datasets:owner/name:test", ("owner/name", None, "test")),
        ("hf-datasets:owner/name:train[:10%]", ("owner/name", None, "train[:10%]")),
        ("hf-datasets:owner/name:en", ("owner/name", "en", "train")),
        ("hf-datasets:owner/name:en:dev", ("owner/name", "en", "dev")),
        ("hf-datasets:owner/name::dev", ("owner/name", None, "dev")),
        ("hf-datasets:", None),
        ("hf-datasets:a:b:c:d", None),
    ],
)
def test_names_of_the_hub(name, expected):
    if expected is None:
        with pytest.raises(UsageError, match=r"expected hf-datasets:OWNER/NAME\[:CONFIG\]\[:SPLIT\]. Received: hf-"):
            named_datasets._split_hugging_face_name(name)
    else:
        assert named_datasets._split_hugging_face_name(name) == expected


def test_names_of_tfds():
    assert named_datasets._split_tfds_name("tfds:wiki40b/en:test") == ("wiki40b/en", "test")
    assert named_datasets._split_tfds_name("tfds:lm1b:train[:10%]") == ("lm1b", "train[:10%]")
    assert named_datasets._split_tfds_name("tfds:lm1b") == ("lm1b", "train")
    with pytest.raises(UsageError, match="expected tfds:NAME"):
        named_datasets._split_tfds_name("tfds:")


def test_files_are_no_names():
    assert not named_datasets.is_named_dataset("tfds.txt")
    assert not named_datasets.is_named_dataset("folder/tfds:x")


@pytest.mark.parametrize(
    ("name", "library", "extra"), [("tfds:x", "tensorflow_datasets", "tfds"), ("hf-datasets:x", "datasets", "datasets")]
)
def test_without_the_library(monkeypatch, name, library, extra):
    import sys

    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"{name}: .* pip install 'kbert\[{extra}\]'"):
        Source([name])


@pytest.fixture
def hub_folder(tmp_path, monkeypatch):
    """A dataset as a folder, which the library takes like a name on the hub."""
    pytest.importorskip("datasets", reason="needs datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "dataset"
    folder.mkdir()
    for split in ("train", "test"):
        rows = [{"body": {"text": f"{split} {i}\nsecond"}, "n": i} for i in range(3)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.filterwarnings("ignore")
def test_a_dataset_of_the_hub(hub_folder):
    source = Source([f"hf-datasets:{hub_folder}:test"], SourceSettings(text_field="body.text"))
    expected = [(("test 0", "second"), 1), (("test 1", "second"), 2), (("test 2", "second"), 3)]
    assert [(found.lines, found.line) for found in source.documents()] == expected
    assert (source.size, source.formats()) == (0, {"dataset": 1})
    with pytest.raises(DataError, match=r"test:1: expected a field 'text' .* the fields 'body.text', 'n'"):
        list(Source([f"hf-datasets:{hub_folder}:test"]).documents())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["{}::nosuch", "{}/nowhere"])
def test_what_the_hub_lacks_is_one_line(hub_folder, name):
    with pytest.raises(DataError, match="reading the dataset failed: ") as caught:
        list(Source(["hf-datasets:" + name.format(hub_folder)]).documents())
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_a_dataset_of_tfds(tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs tensorflow-datasets")

    class KbertTinyTexts(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = tmp_path

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict({"text": tfds.features.Text()})
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples("train"), "test": self._generate_examples("test")}

        def _generate_examples(self, split):
            for i in range(4):
                yield i, {"text": f"{split} {i} é\nsecond"}

    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "data"))
    builder = KbertTinyTexts(data_dir=str(tmp_path / "data"))
    builder.download_and_prepare()
    monkeypatch.setattr(
        tfds, "builder", lambda name: builder if name == "kbert_tiny_texts" else tfds.core.load.builder(name)
    )

    def read(name):
        return [found.lines for found in Source([name]).documents()]

    found = read("tfds:kbert_tiny_texts:test")
    assert sorted(found) == [(f"test {i} é", "second") for i in range(4)]
    assert found == read("tfds:kbert_tiny_texts:test")
    assert len(read("tfds:kbert_tiny_texts:train[:50%]")) == 2
    for name in ("tfds:kbert_tiny_texts:nosuch", "tfds:no_such_dataset_at_all"):
        with pytest.raises(DataError, match="reading the dataset failed: "):
            read(name)


@pytest.mark.filterwarnings("ignore")
def test_the_text_by_the_number_of_its_feature(tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason="needs datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text('{"n": 1, "body": "one"}\n{"n": 2, "body": "two"}\n')
    name = f"hf-datasets:{tmp_path}/set"
    found = [document.lines for document in Source([name], SourceSettings(text_field="2")).documents()]
    assert found == [("one",), ("two",)]
    with pytest.raises(DataError, match="expected a field '3' with the text"):
        list(Source([name], SourceSettings(text_field="3")).documents())


def test_the_digest_of_a_dataset_is_that_of_its_name():
    digests = {content_sha256(name, "train") for name in ("hf-datasets:a/b", "hf-datasets:a/b", "tfds:a")}
    assert len(digests) == 2
