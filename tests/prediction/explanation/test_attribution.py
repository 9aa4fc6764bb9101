import numpy as np
import pytest
import tensorflow as tf

from kbert.prediction.explanation.attribution import METHODS, TOLERANCE, mean_gradient, of_words
from kbert.prediction.explanation.explained_model import ExplainedModel, ExplainedRows
from kbert.prediction.explanation.words import graph_words
from kbert.prediction.loading import load

TEXTS = ["the cat sat on the mat .", "unaffable dogs !", "a"]


@pytest.fixture(scope="module")
def loaded(classifier):
    return load(classifier)


@pytest.fixture(scope="module")
def explained(loaded):
    return ExplainedModel(loaded.task, loaded.model, loaded.tokenizer.vocabulary.pad_id)


@pytest.fixture(scope="module")
def rows(loaded):
    texts = tf.constant(TEXTS)
    row = loaded.text_model.encode(texts)
    words = graph_words(loaded.text_model.encode, row, [texts], [texts])
    return ExplainedRows(row, words=words.of_tokens, target=tf.constant([0, 1, 2]))


def test_the_model_from_vectors_is_the_model(loaded, explained, rows):
    expected = loaded.text_model.outputs(loaded.text_model.encode(tf.constant(TEXTS)))["logits"].numpy()
    found = explained.outputs(explained.embedded(rows), rows)["logits"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    others = [np.delete(row, place) for place, row in enumerate(expected)]
    odds = [
        row[place] - np.log(np.exp(other).sum())
        for place, (row, other) in enumerate(zip(expected, others, strict=True))
    ]
    np.testing.assert_allclose(explained.numbers(explained.embedded(rows), rows), odds, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.long
def test_scores_of_words(explained, rows, name):
    scores, gap = tf.function(lambda: METHODS[name](explained, rows), autograph=False)()
    assert scores.shape == (3, 7)
    assert np.abs(scores.numpy()[1, 3:]).max() == 0  # it has three words
    whole = explained.numbers(explained.embedded(rows), rows)
    absent = explained.without_words(rows)
    wanted = whole - explained.numbers(explained.embedded(absent), absent)
    np.testing.assert_allclose(gap, np.abs(scores.numpy().sum(-1) - wanted) / np.abs(wanted), rtol=1e-2, atol=1e-4)
    if name == "integrated-gradients":
        assert gap.numpy().max() <= TOLERANCE
    # The last text has one word, so its removal is the removal of all words.
    if name == "occlusion":
        assert gap.numpy()[2] == pytest.approx(0, abs=1e-5)


def test_integrated_gradients_are_the_integral(explained, rows):
    """A sum over many points of the straight line, in another order and by another rule."""
    scores, _ = tf.function(lambda: METHODS["integrated-gradients"](explained, rows), autograph=False)()
    embedded, absent = explained.embedded(rows), explained.embedded(explained.without_words(rows))
    gradients = tf.function(
        lambda point: explained.gradients(absent + point * (embedded - absent), rows), autograph=False
    )
    total = sum(gradients(tf.constant((place + 0.5) / 60)).numpy() for place in range(60)) / 60
    expected = of_words(tf.reduce_sum((embedded - absent) * total, -1), rows.words)
    np.testing.assert_allclose(scores, expected, rtol=0.02, atol=0.02 * np.abs(expected).max())


def test_parts_of_the_line_do_not_change_the_mean(explained, rows, monkeypatch):
    embedded, absent = explained.embedded(rows), explained.embedded(explained.without_words(rows))
    nodes, weights = tf.constant([0.1, 0.5, 0.8]), tf.constant([0.2, 0.5, 0.3])
    whole = mean_gradient(explained, rows, absent, embedded - absent, nodes, weights)
    monkeypatch.setattr("kbert.prediction.explanation.attribution._TOKENS_AT_ONCE", 1)
    parts = mean_gradient(explained, rows, absent, embedded - absent, nodes, weights)
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_the_model_is_traced_once(loaded, rows, monkeypatch):
    """Every call of a traced layer costs time when a graph is made, and bytes in a SavedModel."""
    calls = []
    encoder = loaded.model.encoder
    original = encoder.from_embeddings
    monkeypatch.setattr(encoder, "from_embeddings", lambda *arguments: calls.append(1) or original(*arguments))
    explained = ExplainedModel(loaded.task, loaded.model, loaded.tokenizer.vocabulary.pad_id)
    signature = tf.nest.map_structure(lambda each: tf.TensorSpec([None] * len(each.shape), each.dtype), rows)
    tf.function(lambda given: METHODS["integrated-gradients"](explained, given), autograph=False).get_concrete_function(
        signature
    )
    assert len(calls) == 1
