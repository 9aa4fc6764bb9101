import math

import numpy as np
import pytest

from kbert.tasks.metrics.ranking import in_order, ndcg, ranking_metrics, recall, reciprocal_rank, run_metrics


def test_reciprocal_rank():
    assert reciprocal_rank([0, 0, 2, 1]) == pytest.approx(1 / 3)
    assert reciprocal_rank([1]) == 1
    assert reciprocal_rank([0, 0]) == 0
    assert reciprocal_rank([]) == 0


def test_recall_counts_what_was_not_found_too():
    assert recall([1, 0, 1, 1], relevant=5, cut=3) == pytest.approx(2 / 5)
    assert recall([1], relevant=1, cut=10) == 1


def test_ndcg_by_hand():
    # Gains 3, 0, 2 of 3, 2, 1 that there are.
    best = 3 + 2 / math.log2(3) + 1 / 2
    assert ndcg([3, 0, 2], [1, 3, 2], 10) == pytest.approx((3 + 2 / 2) / best)
    assert ndcg([3, 0, 2], [1, 3, 2], 1) == 1
    assert ndcg([0, 0], [1], 10) == 0
    assert ndcg([-1, 2], [2], 10) == pytest.approx(1 / math.log2(3))


def test_equal_scores_earn_nothing_by_their_order():
    scores, gains = np.array([0.5, 0.5, 0.5, 0.9]), np.array([1.0, 0.0, 2.0, 0.0])
    assert in_order(scores, gains).tolist() == [0, 0, 1, 2]
    assert in_order(np.zeros(3), np.array([1.0, 0, 0])).tolist() == [0, 0, 1]


def test_means_leave_out_queries_without_anything_relevant():
    metrics = ranking_metrics([([0, 1], [1]), ([0, 0], [0]), ([1, 0], [1, 1])])
    assert metrics == {
        "mrr": 0.75,
        "recall@1": 0.25,
        "recall@5": 0.75,
        "recall@10": 0.75,
        "ndcg@10": pytest.approx((1 / math.log2(3) + 1 / (1 + 1 / math.log2(3))) / 2),
    }


def test_a_query_without_results_counts_zero():
    metrics = run_metrics({"q1": ["b", "a"]}, {"q1": {"a": 1.0, "c": 0.0}, "q2": {"a": 1.0}})
    assert metrics["mrr"] == 0.25
    assert metrics["recall@1"] == 0
    assert metrics["recall@5"] == 0.5
