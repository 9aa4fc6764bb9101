import numpy as np
import pytest

from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.readers.embedding import EmbeddingExample


def unit(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], -1).astype(np.float32)


def test_retrieval_metrics():
    task = EmbeddingTask()
    examples = [EmbeddingExample("q1", "d1"), EmbeddingExample("q2", "d2"), EmbeddingExample("q1", "d3")]
    assert task.texts_of(examples) == {"text": ["q1", "d1", "q2", "d2", "d3"]}
    metrics = task.evaluate(examples, {"vector": unit(0, 5, 90, 50, 10)})
    assert metrics["queries"] == 2
    assert metrics["candidates"] == 3
    assert (metrics["mrr"], metrics["recall@1"], metrics["recall@5"]) == (1.0, 0.75, 1.0)
    collapsed = task.evaluate(examples, {"vector": np.ones((5, 2), np.float32)})
    assert collapsed["recall@1"] == 0  # no luck for a model that cannot tell texts apart


def test_correlations_equal_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    examples = [EmbeddingExample(f"a{n}", f"b{n}", score=float(rng.integers(0, 6))) for n in range(50)]
    vectors = rng.normal(size=(100, 4)).astype(np.float32)
    metrics = EmbeddingTask().evaluate(examples, {"vector": vectors})
    lengths = np.linalg.norm(vectors, axis=-1)
    cosines = (vectors[::2] * vectors[1::2]).sum(-1) / (lengths[::2] * lengths[1::2])
    scores = [example.score for example in examples]
    assert metrics["spearman"] == pytest.approx(stats.spearmanr(cosines, scores).statistic, abs=1e-9)
    assert metrics["pearson"] == pytest.approx(stats.pearsonr(cosines.astype(np.float64), scores).statistic, abs=1e-6)


def test_cosines_are_cosines_whatever_the_length_of_vectors():
    examples = [EmbeddingExample("a", "b", score=1.0), EmbeddingExample("c", "d", score=0.0)]
    vectors = np.array([[1.0, 0.0], [3.0, 3.0], [0.0, 2.0], [9.0, 0.0]], np.float32)
    metrics = EmbeddingTask(normalize=False).evaluate(examples, {"vector": vectors})
    assert (metrics["spearman"], metrics["pearson"]) == (pytest.approx(1), pytest.approx(1))
    # By the dot product the second pair, 9 times as long, is nearer to everything.
    pairs = [EmbeddingExample("a", "b"), EmbeddingExample("c", "d")]
    vectors = np.array([[1.0, 0.1], [1.0, 0.0], [0.5, 1.0], [8.0, 9.0]], np.float32)
    assert EmbeddingTask(normalize=False).evaluate(pairs, {"vector": vectors})["recall@1"] == 1.0
    dot = EmbeddingTask(normalize=False, similarity="dot").evaluate(pairs, {"vector": vectors})
    assert dot["recall@1"] == 0.5
