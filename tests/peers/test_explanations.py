"""Captum gives the same integrated gradients with the same weights, from the same tokens and at the same points."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.prediction.explanation.attribution import POINTS, integrated_gradients, mean_gradient
from kbert.prediction.explanation.explained_model import ExplainedModel, ExplainedRows
from kbert.prediction.explanation.words import graph_words
from kbert.prediction.loading import load

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
captum = pytest.importorskip("captum.attr")

TEXTS = ["the cat sat on the mat .", "unaffable dogs !"]


@pytest.fixture(scope="module")
def ours(classifier):
    loaded = load(classifier)
    texts = tf.constant(TEXTS)
    row = loaded.text_model.encode(texts)
    words = graph_words(loaded.text_model.encode, row, [texts], [texts])
    explained = ExplainedModel(loaded.task, loaded.model, loaded.tokenizer.vocabulary.pad_id)
    return explained, ExplainedRows(row, words=words.of_tokens, target=tf.constant([2, 0]))


def theirs(classifier, explained, rows, points):
    """The scores of tokens, by Captum."""
    model = transformers.BertForSequenceClassification.from_pretrained(classifier).eval()

    def log_odds(ids, mask, types, targets):
        logits = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
        chosen = torch.nn.functional.one_hot(targets, logits.shape[-1]).bool()
        return logits[chosen] - torch.logsumexp(logits.masked_fill(chosen, -torch.inf), -1)

    ids, mask, types = (torch.tensor(each.numpy().astype(np.int64)) for each in rows.features.values())
    absent = torch.tensor(explained.without_words(rows).ids.numpy().astype(np.int64))
    method = captum.LayerIntegratedGradients(log_odds, model.bert.embeddings)
    targets = torch.tensor(rows.target.numpy().astype(np.int64))
    # The segments of the baseline are those of the text, since they are another argument of the layer.
    found = method.attribute(
        ids,
        baselines=absent,
        additional_forward_args=(mask, types, targets),
        n_steps=points,
        method="gausslegendre",
    )
    return found.sum(-1).detach().numpy()


@pytest.mark.parametrize("points", [16, 64])
def test_integrated_gradients_of_tokens(classifier, ours, within, points):
    explained, rows = ours
    embedded, absent = explained.embedded(rows), explained.embedded(explained.without_words(rows))
    nodes, weights = np.polynomial.legendre.leggauss(points)
    gradient = mean_gradient(
        explained,
        rows,
        absent,
        embedded - absent,
        tf.constant((nodes + 1) / 2, tf.float32),
        tf.constant(weights / 2, tf.float32),
    )
    found = tf.reduce_sum((embedded - absent) * gradient, -1)
    within("integrated gradients", found, theirs(classifier, explained, rows, points), bound=1e-4)


def test_integrated_gradients_of_words(classifier, ours, within):
    explained, rows = ours
    scores, gaps = integrated_gradients(explained, rows)
    assert gaps.numpy().max() <= 0.01
    tokens = theirs(classifier, explained, rows, POINTS[-1])
    for row in range(len(TEXTS)):
        of_tokens = rows.words.numpy()[row]
        expected = np.bincount(of_tokens[of_tokens >= 0], tokens[row][of_tokens >= 0])
        found = scores.numpy()[row, : len(expected)]
        # Our sum has the points that are needed for the gap, theirs have all.
        within("words, as a part of the largest", found, expected, bound=0.02, relative=True)
