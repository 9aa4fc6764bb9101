import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import BundleError, ParityError, UsageError
from kbert.export import saved_model
from kbert.export.saved_model import export_saved_model
from kbert.export.session import session_answers
from kbert.prediction.loading import load

TEXTS = ["the cat sat on the mat .", "", "zzz 中文", "unaffable dogs !"]

SERVE = """
import json, sys
import tensorflow as tf
import tensorflow_text
loaded = tf.saved_model.load(sys.argv[1])
answers = loaded.signatures["serving_default"](text=tf.constant(json.loads(sys.argv[2])))
assert not [name for name in sys.modules if name.split(".")[0] == "kbert"]
print(json.dumps({
    "label": [label.decode() for label in answers["label"].numpy()],
    "probabilities": answers["probabilities"].numpy().tolist(),
}))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory, classifier):
    """An export whose bundle is gone, and which was moved."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(classifier, folder / "bundle")
    exported = export_saved_model(folder / "bundle", output=folder / "reviews")
    shutil.rmtree(folder / "bundle")
    shutil.move(folder / "reviews", folder / "elsewhere" / "reviews")
    return folder / "elsewhere" / exported.relative_to(folder)


@pytest.mark.long
def test_it_answers_where_kbert_is_never_imported(tmp_path, exported, classifier):
    result = subprocess.run(
        [sys.executable, "-c", SERVE, str(exported), json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answers = json.loads(result.stdout)
    expected = load(classifier).predict(TEXTS)
    assert answers["label"] == [answer["label"] for answer in expected]
    np.testing.assert_allclose(
        answers["probabilities"], [list(answer["probabilities"].values()) for answer in expected], atol=1e-5
    )


def test_the_folder_is_a_version_that_is_served(exported):
    assert (exported.parent.name, exported.name) == ("reviews", "1")
    assert sorted(path.name for path in exported.iterdir()) == [
        "assets",
        "assets.extra",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    assert sorted(path.name for path in (exported / "assets.extra").iterdir()) == [
        "kbert.json",
        "tf_serving_warmup_requests",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert [path.name for path in exported.parent.iterdir()] == ["1"]


def test_signatures(exported, classifier):
    signatures = tf.saved_model.load(str(exported)).signatures
    assert set(signatures) == {"serving_default", "tokens", "classify"}
    text, tokens = signatures["serving_default"], signatures["tokens"]
    assert {name: (spec.dtype, spec.shape.as_list()) for name, spec in text.structured_input_signature[1].items()} == {
        "text": (tf.string, [None])
    }
    assert {
        name: (spec.dtype, spec.shape.as_list()) for name, spec in tokens.structured_input_signature[1].items()
    } == {name: (tf.int32, [None, None]) for name in ("input_word_ids", "input_mask", "input_type_ids")}
    assert set(text.structured_outputs) == {"label", "classes", "probabilities"}
    assert set(tokens.structured_outputs) == {"probabilities"}
    batch = load(classifier).text_model.encode(tf.constant(TEXTS))
    np.testing.assert_allclose(
        tokens(**batch)["probabilities"], text(text=tf.constant(TEXTS))["probabilities"], atol=1e-5
    )


def test_a_batch_without_texts_is_answered_without_rows(exported):
    requests = {
        "serving_default": {"text": np.array([], object)},
        "tokens": {name: np.zeros((0, 8), np.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")},
        "classify": {"inputs": np.array([], object)},
    }
    answers = session_answers(exported, requests)
    shapes = {name: {key: value.shape for key, value in found.items()} for name, found in answers.items()}
    assert shapes == {
        "serving_default": {"label": (0,), "classes": (0, 3), "probabilities": (0, 3)},
        "tokens": {"probabilities": (0, 3)},
        "classify": {"classes": (0, 3), "scores": (0, 3)},
    }


@pytest.mark.slow
def test_versions_and_pairs(tmp_path, pair_classifier):
    base = tmp_path / "pairs"
    (base / "9").mkdir(parents=True)
    (base / "notes").mkdir()
    exported = export_saved_model(pair_classifier, output=base)
    assert exported == base / "10"
    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    answers = signature(text=tf.constant(["the cat"]), text_pair=tf.constant(["a dog"]))
    (expected,) = load(pair_classifier).predict(["the cat"], ["a dog"])
    np.testing.assert_allclose(answers["probabilities"][0], list(expected["probabilities"].values()), atol=1e-5)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (0, r"^version must be at least 1\. Received: version=0$"),
        (-1, r"^version must be at least 1\. Received: version=-1$"),
        (3, r"^version must be new in .*\. Received: version=3$"),
    ],
)
def test_a_version_that_cannot_be(tmp_path, classifier, version, message):
    (tmp_path / "3").mkdir()
    with pytest.raises(UsageError, match=message):
        export_saved_model(classifier, output=tmp_path, version=version)


@pytest.mark.long
def test_an_export_that_answers_otherwise_is_not_written(tmp_path, classifier, monkeypatch):
    monkeypatch.setattr(saved_model, "TOLERANCE", -1.0)
    with pytest.raises(
        ParityError,
        match=r"^the SavedModel's signature serving_default, .*load: probabilities must differ .* nothing was written$",
    ):
        export_saved_model(classifier, output=tmp_path / "reviews", version=7)
    assert list((tmp_path / "reviews").iterdir()) == []


def test_a_model_for_no_task(tmp_path, pretrained):
    folder = shutil.copytree(pretrained, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))
    with pytest.raises(BundleError, match=r"is an encoder \(BertModel\) without a task; give --pooling"):
        export_saved_model(folder, output=tmp_path / "reviews")
    assert not (tmp_path / "reviews").exists()
