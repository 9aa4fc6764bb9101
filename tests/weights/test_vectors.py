"""Vectors of real models, compared with those that their own libraries computed for the same texts."""

import numpy as np
import pytest

import kbert

pytestmark = pytest.mark.weights

# Cosines that sentence-transformers 6.2.0 gives for all-MiniLM-L6-v2, and transformers 5.24.0 for
# multilingual-e5-small with "query: ", the mean of all tokens and length 1.
TEXTS = ["A man is playing a guitar.", "Someone plays an instrument.", "The stock market fell today."]
MINILM = {(0, 1): 0.667446, (0, 2): -0.049711, (1, 2): -0.074231}
E5 = {(0, 1): 0.947152, (0, 2): 0.822144, (1, 2): 0.839453}


def test_minilm_is_an_embedding_model_as_it_is(minilm):
    model = kbert.load(minilm)
    assert (model.task.name, model.task.pooling, model.sequence_length) == ("embedding", "mean", 256)
    vectors = model.answers(TEXTS)["vector"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-6)
    for (first, second), cosine in MINILM.items():
        assert vectors[first] @ vectors[second] == pytest.approx(cosine, abs=1e-5)


def test_minilm_on_scored_pairs(minilm, data):
    metrics = kbert.load(minilm).evaluate(data / "stsb" / "dev.tsv")
    assert metrics["examples"] == 1500
    assert metrics["spearman"] == pytest.approx(0.867163, abs=1e-4)  # of sentence-transformers 6.2.0


def test_minilm_finds_documents(minilm, data, tmp_path):
    from kbert.retrieval.search import measure_search

    collection = data / "cranfield"
    kbert.build_index(minilm, input=collection / "cran.all.1400", output=tmp_path / "i", skip_bad=2)
    metrics = measure_search(kbert.Index(tmp_path / "i"), collection / "cran.qry", collection / "cranqrel")
    assert metrics["ndcg@10"] == pytest.approx(0.4996, abs=1e-3)


def test_e5_with_a_pooling_and_a_prompt(e5):
    vectors = kbert.load(e5, pooling="mean", prompt="query: ").answers(TEXTS)["vector"]
    for (first, second), cosine in E5.items():
        assert vectors[first] @ vectors[second] == pytest.approx(cosine, abs=1e-5)


def test_e5_on_scored_pairs(e5, data):
    model = kbert.load(e5, pooling="mean", prompt="query: ")
    assert model.evaluate(data / "stsb" / "dev.tsv")["spearman"] == pytest.approx(0.843190, abs=1e-4)  # of transformers
