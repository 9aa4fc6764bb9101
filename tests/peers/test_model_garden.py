"""Checkpoints of TensorFlow's Model Garden in kbert.

official.nlp needs Keras 2, so its models are created in a separate process. Its package has many dependencies that are
not used here; install it with
`pip install --no-deps tf-models-official tf-keras tensorflow-model-optimization gin-config tf-slim`.
"""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from kbert.conversion.convert import convert
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel
from kbert.models.tensor_names import assign_tensors, encoder_bindings, pretraining_bindings

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

if importlib.util.find_spec("official") is None or importlib.util.find_spec("tf_keras") is None:
    pytest.skip("needs tf-models-official and tf-keras", allow_module_level=True)

MAKE = """
import sys
import numpy as np
import tensorflow as tf
from official.nlp.modeling import layers, models, networks

kind, folder = sys.argv[1:]
rng = np.random.default_rng(0)
size = {"intermediate_size": 64} if kind == "BertEncoder" else {"inner_dim": 64}
encoder = getattr(networks, kind)(
    vocab_size=23, hidden_size=32, num_layers=11, num_attention_heads=2, max_sequence_length=24, type_vocab_size=2,
    **({"dict_outputs": True} if kind == "BertEncoder" else {}), **size)
head = layers.ClassificationHead(inner_dim=32, num_classes=2, name="next_sentence")
pretrainer = models.BertPretrainerV2(
    encoder, mlm_activation=lambda x: tf.nn.gelu(x, approximate=True), classification_heads=[head])
classifier = models.BertClassifier(encoder, num_classes=3)
mask = (np.arange(24) < np.array([[24], [9], [1]])).astype(np.int32)
inputs = {
    "input_word_ids": rng.integers(0, 23, (3, 24)).astype(np.int32) * mask,
    "input_mask": mask,
    "input_type_ids": (np.arange(24) >= 4).astype(np.int32) * mask,
}
positions = np.tile(np.arange(24, dtype=np.int32), (3, 1))
pretrainer({**inputs, "masked_lm_positions": positions})
for variable in [*pretrainer.variables, *classifier.variables]:
    variable.assign_add(rng.normal(0, 0.1, variable.shape).astype(np.float32))
encoded = encoder(inputs)
outputs = pretrainer({**inputs, "masked_lm_positions": positions})
tf.train.Checkpoint(model=encoder).save(f"{folder}/encoder/ckpt")
tf.train.Checkpoint(**pretrainer.checkpoint_items).save(f"{folder}/items/ckpt")
optimizer = tf.keras.optimizers.legacy.Adam()
optimizer.apply_gradients([(tf.zeros_like(v), v) for v in pretrainer.trainable_variables])
tf.train.Checkpoint(model=pretrainer, optimizer=optimizer, global_step=tf.Variable(3)).save(f"{folder}/trainer/ckpt")
tf.train.Checkpoint(model=classifier).save(f"{folder}/classifier/ckpt")
np.savez(f"{folder}/expected.npz", positions=positions, sequence=encoded["sequence_output"],
         pooled=encoded["pooled_output"], mlm=outputs["mlm_logits"], nsp=outputs["next_sentence"],
         logits=classifier(inputs), **inputs)
"""


@pytest.fixture(scope="module", params=["BertEncoder", "BertEncoderV2"])
def made(request, tmp_path_factory, vocabulary):
    """Folders of checkpoints of one random model, and what it gives."""
    folder = tmp_path_factory.mktemp(request.param)
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", MAKE, request.param, folder], env=environment, check=True)
    for name in ("encoder", "items", "trainer", "classifier"):
        vocabulary.save(folder / name / "vocab.txt")
    return folder, np.load(folder / "expected.npz")


def inputs(expected):
    return {name: expected[name] for name in ("input_word_ids", "input_mask", "input_type_ids")}


@pytest.mark.parametrize("name", ["encoder", "classifier"])
def test_encoders(tmp_path, made, name):
    folder, expected = made
    convert(folder / name, tmp_path / "bundle")
    bundle = Bundle.load(tmp_path / "bundle")
    encoder = BertEncoder(bundle.config)
    assign_tensors(encoder_bindings(encoder), bundle.tensors)
    outputs = encoder(inputs(expected))
    inside = expected["input_mask"] == 1
    np.testing.assert_allclose(
        np.asarray(outputs["sequence_output"])[inside], expected["sequence"][inside], rtol=0, atol=2e-5
    )
    np.testing.assert_allclose(outputs["pooled_output"], expected["pooled"], rtol=0, atol=2e-5)
    if name == "classifier":
        assert bundle.architecture == "BertForSequenceClassification"
        logits = (
            np.asarray(outputs["pooled_output"]) @ bundle.tensors["classifier.weight"].T
            + bundle.tensors["classifier.bias"]
        )
        np.testing.assert_allclose(logits, expected["logits"], rtol=0, atol=2e-5)


def test_a_trainers_checkpoint(tmp_path, made):
    folder, expected = made
    convert(folder / "trainer", tmp_path / "bundle")
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.architecture == "BertForPreTraining"
    model = PretrainingModel(BertEncoder(bundle.config))
    assign_tensors(pretraining_bindings(model), bundle.tensors)
    outputs = model({**inputs(expected), "masked_lm_positions": expected["positions"]})
    inside = expected["input_mask"] == 1
    np.testing.assert_allclose(np.asarray(outputs["mlm_logits"])[inside], expected["mlm"][inside], rtol=0, atol=2e-5)
    np.testing.assert_allclose(outputs["nsp_logits"], expected["nsp"], rtol=0, atol=2e-5)


def test_checkpoint_items(tmp_path, made):
    folder, _ = made
    assert convert(folder / "items", tmp_path / "bundle").architecture == "BertForMaskedLM"
