"""kbert's models in KerasHub, and KerasHub's presets in kbert."""

import numpy as np
import pytest

from kbert.config import BertConfig
from kbert.conversion.convert import convert
from kbert.model_folder.bundle import Bundle
from kbert.models.tensor_names import assign_tensors, encoder_bindings
from kbert.prediction.loading import load
from kbert.pretrained.models import BertEncoder
from kbert.text.tokenizer import Tokenizer

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

keras_hub = pytest.importorskip("keras_hub")

SHAPES = {"tiny": (2, 128), "small": (4, 512)}


def batches(config):
    """Padded texts and pairs, one token alone, and the longest sequence: ids, mask, types."""
    rng = np.random.default_rng(0)
    for size, lengths in ((24, [24, 17, 1, 9]), (1, [1]), (config.max_position_embeddings,) * 2):
        ends = np.atleast_1d(lengths)[:, None]
        mask = (np.arange(size) < ends).astype(np.int32)
        ids = rng.integers(0, config.vocab_size, mask.shape).astype(np.int32) * mask
        yield ids, mask, ((np.arange(size) >= ends // 2) * mask).astype(np.int32)


def assert_same(bundle, backbone):
    encoder = BertEncoder(bundle.config)
    assign_tensors(encoder_bindings(encoder), bundle.tensors)
    for ids, mask, types in batches(bundle.config):
        ours = encoder({"input_word_ids": ids, "input_mask": mask, "input_type_ids": types})
        theirs = backbone({"token_ids": ids, "padding_mask": mask, "segment_ids": types})
        inside = mask == 1
        np.testing.assert_allclose(
            np.asarray(ours["sequence_output"])[inside],
            np.asarray(theirs["sequence_output"])[inside],
            rtol=0,
            atol=2e-5,
        )
        np.testing.assert_allclose(ours["pooled_output"], theirs["pooled_output"], rtol=0, atol=2e-5)


@pytest.mark.parametrize("size", SHAPES)
def test_a_model_of_kbert_in_keras_hub(tmp_path, vocabulary, random_tensors, size):
    layers, width = SHAPES[size]
    config = BertConfig(len(vocabulary), width, layers, width // 64, 4 * width, hidden_act="gelu_new")
    tensors = random_tensors(encoder_bindings(BertEncoder(config)))
    # As wide as this, fresh weights are narrower: attention shall not be one-hot.
    tensors = {name: value if value.ndim == 1 else value / 4 for name, value in tensors.items()}
    Bundle(config, Tokenizer(vocabulary), tensors, "BertModel").save(tmp_path / "bundle", "# A card\n")
    convert(tmp_path / "bundle", tmp_path / "preset", to="keras-hub")
    backbone = keras_hub.models.BertBackbone.from_preset(str(tmp_path / "preset"))
    assert_same(Bundle.load(tmp_path / "bundle"), backbone)


@pytest.fixture
def backbone(vocabulary):
    """A backbone of KerasHub, every weight of it random."""
    model = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=12,  # two digits: layers are in the order of their numbers
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=64,
        max_sequence_length=40,
    )
    rng = np.random.default_rng(0)
    model.set_weights([value + rng.normal(0, 0.2, value.shape) for value in model.get_weights()])
    return model


@pytest.fixture
def tokenizer(vocabulary):
    return keras_hub.models.BertTokenizer(vocabulary=list(vocabulary), lowercase=True, strip_accents=True)


def test_a_backbone_of_keras_hub_in_kbert(tmp_path, backbone, tokenizer):
    backbone.save_to_preset(str(tmp_path / "preset"))
    tokenizer.save_to_preset(str(tmp_path / "preset"))
    convert(tmp_path / "preset", tmp_path / "bundle")
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.architecture == "BertModel"
    assert bundle.tokenizer.lowercase
    assert_same(bundle, backbone)


def test_a_sharded_backbone_in_kbert(tmp_path, backbone, tokenizer):
    backbone.save_to_preset(str(tmp_path / "preset"), max_shard_size=1e-4)
    tokenizer.save_to_preset(str(tmp_path / "preset"))
    assert (tmp_path / "preset" / "model.weights.json").is_file()
    convert(tmp_path / "preset", tmp_path / "bundle")
    assert_same(Bundle.load(tmp_path / "bundle"), backbone)


def test_a_classifier_both_ways(tmp_path, backbone, tokenizer):
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=24)
    theirs = keras_hub.models.BertTextClassifier(backbone, num_classes=3, preprocessor=preprocessor)
    theirs.output_dense.bias.assign([0.1, -0.2, 0.3])
    theirs.save_to_preset(str(tmp_path / "theirs"))
    convert(tmp_path / "theirs", tmp_path / "bundle")
    convert(tmp_path / "bundle", tmp_path / "ours", to="keras-hub")
    texts = ["The cat sat on the mat.", "a dog", "unaffable cats"]
    again = keras_hub.models.TextClassifier.from_preset(str(tmp_path / "ours"))
    np.testing.assert_allclose(again.predict(texts, verbose=0), theirs.predict(texts, verbose=0), rtol=0, atol=2e-5)


def test_a_fine_tuned_model_answers_the_same_from_text(tmp_path, make_classifier, small_config):
    folder = make_classifier(tmp_path / "bundle", config=small_config.replace(hidden_act="gelu_new"))
    convert(folder, tmp_path / "preset", to="keras-hub")
    theirs = keras_hub.models.TextClassifier.from_preset(str(tmp_path / "preset"))
    texts = ["The cat sat on the mat.", "a dog ran!", "Unaffable cats matted"]
    logits = theirs.predict(texts, verbose=0)
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = load(folder).answers(texts)["probabilities"]
    np.testing.assert_allclose(probabilities, odds / odds.sum(-1, keepdims=True), rtol=0, atol=2e-5)


# === In memory ===


def equal_outputs(encoder, backbone, atol):
    for ids, mask, types in batches(encoder.config):
        ours = encoder({"input_word_ids": ids, "input_mask": mask, "input_type_ids": types})
        theirs = backbone({"token_ids": ids, "padding_mask": mask, "segment_ids": types})
        inside = mask == 1
        a, b = (np.asarray(each["sequence_output"])[inside] for each in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)
        np.testing.assert_allclose(ours["pooled_output"], theirs["pooled_output"], rtol=0, atol=atol)


def test_a_backbone_in_memory_and_back(backbone):
    encoder = BertEncoder.from_keras_hub(backbone, seed=3)
    assert encoder.config.num_hidden_layers == 12
    equal_outputs(encoder, backbone, 2e-5)
    again = encoder.to_keras_hub()
    assert type(again) is keras_hub.models.BertBackbone
    for a, b in zip(again.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_class_of_keras_nlp_is_the_same():
    keras_nlp = pytest.importorskip("keras_nlp")
    assert keras_nlp.models.BertBackbone is keras_hub.models.BertBackbone


def test_an_encoder_in_memory(small_config):
    from kbert.errors import ConfigError, UsageError

    encoder = BertEncoder(small_config.replace(hidden_act="gelu_new"), seed=1)
    equal_outputs(encoder, encoder.to_keras_hub(), 1e-5)
    with pytest.raises(ConfigError, match=r"only the tanh form of GELU\. Received: the erf form of GELU; hidden_act="):
        BertEncoder(small_config).to_keras_hub()
    with pytest.raises(UsageError, match=r"must have a pooler; make the encoder with pooled=True"):
        BertEncoder(small_config.replace(hidden_act="gelu_new"), pooled=False).to_keras_hub()
    with pytest.raises(UsageError, match=r"^expected a keras_hub\.models\.BertBackbone\. Received: BertEncoder$"):
        BertEncoder.from_keras_hub(encoder)


def test_the_examples_of_the_encoder():
    import doctest

    import kbert

    runner = doctest.DocTestRunner()
    for method in (BertEncoder.from_keras_hub, BertEncoder.to_keras_hub):
        names = {"kbert": kbert, "keras_hub": keras_hub}
        for test in doctest.DocTestFinder(recurse=False).find(method, "example", globs=names):
            runner.run(test)
    assert (runner.tries, runner.failures) == (4, 0)
