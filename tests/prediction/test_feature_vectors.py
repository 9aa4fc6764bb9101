import numpy as np
import pytest
import safetensors.numpy

from kbert.errors import UsageError
from kbert.prediction.feature_vectors import LAST_FOUR, extract_features, save_features
from kbert.pretrained.loading import load_model
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

TEXTS = ["the cat sat on the mat", "", "a dog"]


@pytest.fixture(scope="module")
def hidden(pretrained, vocabulary):
    """The last layer's output for each text, without padding."""
    import tensorflow as tf

    encoded = GraphEncoder(Tokenizer(vocabulary).to_graph(), 32)(tf.constant(TEXTS))
    output = load_model(pretrained).encoder(encoded)["sequence_output"].numpy()
    return [row[: mask.sum()] for row, mask in zip(output, encoded["input_mask"].numpy(), strict=True)]


@pytest.mark.long
def test_a_pretraining_model_gives_its_last_layer(pretrained, hidden):
    for given, wanted in zip(extract_features(pretrained, TEXTS, pooling="none"), hidden, strict=True):
        np.testing.assert_allclose(given, wanted, atol=1e-5)
    np.testing.assert_allclose(extract_features(pretrained, TEXTS), [row.mean(0) for row in hidden], atol=1e-5)
    np.testing.assert_allclose(
        extract_features(pretrained, TEXTS, pooling="cls", batch_size=1), [row[0] for row in hidden], atol=1e-5
    )


@pytest.mark.long
def test_layers_are_joined(pretrained, classifier):
    joined = extract_features(pretrained, TEXTS, layers=(0, -2, 2))
    assert joined.shape == (3, 96)
    for place, layer in enumerate((-3, 1, -1)):
        part = extract_features(pretrained, TEXTS, layers=[layer])
        np.testing.assert_allclose(joined[:, 32 * place : 32 * (place + 1)], part, atol=1e-6)
    assert np.abs(joined[:, :32] - joined[:, 32:64]).max() > 0.01
    assert extract_features(classifier, TEXTS).shape == (3, 32)
    assert extract_features(pretrained, []).shape == (0, 32)


def test_vectors_are_saved_as_npy_and_safetensors(tmp_path):
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    save_features(tmp_path / "a.npy", rows)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), rows)
    save_features(tmp_path / "a.safetensors", rows)
    np.testing.assert_array_equal(safetensors.numpy.load_file(tmp_path / "a.safetensors")["vectors"], rows)
    save_features(tmp_path / "b.safetensors", [rows[:1], rows])
    tensors = safetensors.numpy.load_file(tmp_path / "b.safetensors")
    assert tensors["lengths"].tolist() == [1, 3]
    assert tensors["vectors"].tolist() == [[0, 1], [0, 1], [2, 3], [4, 5]]
    with pytest.raises(
        UsageError, match=r"^texts have different numbers of tokens, which \.npy does not support; name a "
    ):
        save_features(tmp_path / "b.npy", [rows])
    with pytest.raises(UsageError, match=r"^features are written as \.npy or \.safetensors\. Received: .*b\.pkl$"):
        save_features(tmp_path / "b.pkl", rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layers": LAST_FOUR},
            r"^layers must be from 0 .* to 2, or from -1 .* down to -3\. Received: -4, -3, -2, -1$",
        ),
        ({"layers": ()}, r"Received: none$"),
        ({"pooling": "first"}, r"^pooling must be one of mean, cls, max, none\. Received: pooling='first'$"),
        ({"sequence_length": 33}, r"^sequence_length must be from 5 to the model's 32 positions\. "),
        ({"batch_size": 0}, r"^batch_size must be at least 1\. Received: batch_size=0$"),
    ],
)
def test_what_cannot_be(pretrained, options, message):
    with pytest.raises(UsageError, match=message):
        extract_features(pretrained, TEXTS, **options)
