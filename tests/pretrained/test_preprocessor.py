import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import kbert
from kbert.errors import UsageError
from kbert.pretrained.preprocessor import Preprocessor
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer

TEXTS = ["The cat sat on the mat.", "a dog ran"]


@pytest.fixture
def preprocessor(vocabulary):
    return Preprocessor(vocabulary, sequence_length=8)


def as_lists(features):
    return {name: np.asarray(values).tolist() for name, values in features.items()}


def test_ids_of_texts(preprocessor):
    assert as_lists(preprocessor(TEXTS)) == {
        "input_word_ids": [[2, 5, 7, 9, 10, 5, 11, 3], [2, 6, 8, 12, 3, 0, 0, 0]],
        "input_mask": [[1] * 8, [1, 1, 1, 1, 1, 0, 0, 0]],
        "input_type_ids": [[0] * 8, [0] * 8],
    }


def test_one_text_and_the_longest_of_a_batch(preprocessor, vocabulary):
    assert as_lists(preprocessor("a dog ran"))["input_word_ids"] == [2, 6, 8, 12, 3, 0, 0, 0]
    longest = Preprocessor(vocabulary, sequence_length=8, padding="longest")
    assert as_lists(longest(["a dog", "a dog ran"]))["input_word_ids"] == [[2, 6, 8, 3, 0], [2, 6, 8, 12, 3]]


def test_pairs(preprocessor):
    assert as_lists(preprocessor((["a dog"], ["the cat"]))) == {
        "input_word_ids": [[2, 6, 8, 3, 5, 7, 3, 0]],
        "input_mask": [[1, 1, 1, 1, 1, 1, 1, 0]],
        "input_type_ids": [[0, 0, 0, 0, 1, 1, 1, 0]],
    }


@pytest.mark.parametrize("batched", [True, False])
def test_a_dataset_keeps_its_labels_and_weights(preprocessor, batched):
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, [1, 0], [0.5, 2.0]))
    dataset = dataset.batch(2).map(preprocessor) if batched else dataset.map(preprocessor).batch(2)
    ((features, labels, weights),) = dataset
    assert as_lists(features) == as_lists(preprocessor(TEXTS))
    assert (labels.numpy().tolist(), weights.numpy().tolist()) == ([1, 0], [0.5, 2.0])
    assert dataset.element_spec[0]["input_word_ids"].shape.as_list() == [None, 8]


def test_a_configuration_of_plain_data(vocabulary):
    added = [AddedToken("<user>"), AddedToken("COVID", normalized=True)]
    tokenizer = Tokenizer(vocabulary, lowercase=True, added_tokens=added, never_split=["a-b"])
    layer = Preprocessor(tokenizer, sequence_length=12, truncation="only_second", padding="longest", name="texts")
    config = json.loads(json.dumps(layer.get_config()))
    again = Preprocessor.from_config(config)
    assert again.get_config() == layer.get_config()
    assert as_lists(again(["<user> has covid"])) == as_lists(layer(["<user> has covid"]))
    assert as_lists(again(["<user> has covid"]))["input_word_ids"] == [[2, 23, 1, 24, 3]]


@pytest.mark.parametrize("paired", [False, True])
def test_a_model_that_takes_strings(pretrained, tmp_path, paired):
    preprocessor = Preprocessor.from_preset(pretrained, sequence_length=16)
    classifier = kbert.ClassificationModel.from_preset(pretrained, classes=2)
    texts = [keras.Input((), dtype="string", name=name) for name in ("text", "pair")[: 1 + paired]]
    model = keras.Model(texts, classifier(preprocessor(tuple(texts) if paired else texts[0])))
    given = [tf.constant(TEXTS), tf.constant(["fast!", "slow."])][: 1 + paired]
    expected = classifier(preprocessor(tuple(given)))["logits"]
    np.testing.assert_allclose(model(given)["logits"], expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(given)["logits"], model(given)["logits"])
    np.testing.assert_allclose(keras.models.clone_model(model)(given)["logits"].shape, (2, 2))


@pytest.mark.long
def test_a_model_of_strings_learns(pretrained):
    keras.utils.set_random_seed(0)  # fit shuffles
    preprocessor = Preprocessor.from_preset(pretrained, sequence_length=8)
    text = keras.Input((), dtype="string", name="text")
    classifier = kbert.ClassificationModel.from_preset(pretrained, classes=2)
    model = keras.Model(text, classifier(preprocessor(text))["logits"])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(tf.constant(TEXTS * 4), np.array([0, 1] * 4), batch_size=4, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]


def test_a_model_of_strings_becomes_a_saved_model(vocabulary, tmp_path):
    config = kbert.BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    text = keras.Input((), dtype="string")
    encoded = kbert.BertEncoder(config)(kbert.Preprocessor(vocabulary, sequence_length=8)(text))
    model = keras.Model(text, keras.layers.Dense(2)(encoded["pooled_output"]))
    model.export(tmp_path / "saved", verbose=False)
    texts = tf.constant(["the cat sat", "a dog"])
    loaded = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.serve(texts), model(texts), atol=1e-6)


def test_from_a_folder(pretrained, vocab_file):
    # The folder's model has 32 positions.
    assert Preprocessor.from_preset(pretrained).sequence_length == 32
    with pytest.raises(UsageError, match=r"^sequence_length must be at most the model's 32 positions\. Received: 33$"):
        Preprocessor.from_preset(pretrained, sequence_length=33)
    assert as_lists(Preprocessor(vocab_file, 8)(TEXTS)) == as_lists(Preprocessor.from_preset(pretrained, 8)(TEXTS))


def test_refusals(vocabulary, preprocessor):
    with pytest.raises(UsageError, match=r"^padding must be one of fixed, longest\. Received: padding='none'$"):
        Preprocessor(vocabulary, padding="none")
    with pytest.raises(UsageError, match=r"expected texts\. Received: values of the type int32"):
        preprocessor([1, 2])
