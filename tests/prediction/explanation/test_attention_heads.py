import numpy as np
import pytest

from kbert.prediction.explanation.attention_heads import attention_heads
from kbert.prediction.loading import load


@pytest.fixture(scope="module")
def loaded(classifier):
    return load(classifier)


def kinds(loaded):
    return {text.name: text for text in loaded.task.text_inputs}


def test_the_measures_are_means_over_the_tokens(loaded):
    """The measures of the first layer, from its probabilities; the text fills its row."""
    found = attention_heads(loaded.text_model, {"text": ["the cat sat"]}, kinds(loaded))
    assert found.distance.shape == found.entropy.shape == found.to_separator.shape == (2, 2)
    encoder = loaded.model.encoder
    ids = np.array([[2, 5, 7, 9, 3]], np.int32)
    hidden = encoder.embeddings(ids, np.zeros_like(ids), training=False)
    weights = np.asarray(encoder.blocks[0].attention.probabilities(hidden, np.zeros((1, 1, 1, 5), np.float32)))[0]
    distance = np.abs(np.arange(5)[:, None] - np.arange(5))
    np.testing.assert_allclose(found.distance[0], (weights * distance).sum(-1).mean(-1), rtol=1e-4)
    np.testing.assert_allclose(found.entropy[0], -(weights * np.log2(weights)).sum(-1).mean(-1), rtol=1e-4)
    np.testing.assert_allclose(found.to_separator[0], weights[..., 4].mean(-1), rtol=1e-4)


@pytest.mark.long
def test_padding_and_batches_do_not_matter(loaded):
    texts = ["the cat sat on the mat", "a dog", "the"]
    one = attention_heads(loaded.text_model, {"text": texts}, kinds(loaded))
    parts = [attention_heads(loaded.text_model, {"text": [text]}, kinds(loaded), batch_size=1) for text in texts]
    tokens = np.array([8, 4, 3])
    for name in ("distance", "entropy", "to_separator"):
        values = np.array([getattr(part, name) for part in parts])
        np.testing.assert_allclose(getattr(one, name), np.tensordot(tokens / 15, values, 1), rtol=1e-3)
