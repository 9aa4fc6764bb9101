import numpy as np
import pytest

from kbert.tasks.metrics.relations import relation_scores, usual_no_relation

LABELS = ["Cause(e1,e2)", "Cause(e2,e1)", "Whole(e1,e2)", "Whole(e2,e1)", "Other"]


def test_the_scores_of_semeval():
    """Worked out by hand: Cause has 2 right of 4 true and 3 predicted, Whole 1 of 2 and 2."""
    true = np.array([0, 0, 1, 1, 2, 3, 4, 4])
    predicted = np.array([0, 1, 1, 4, 2, 4, 4, 3])
    scores = relation_scores(LABELS, true, predicted, "Other")
    cause, whole = 2 * 2 / (4 + 3), 2 * 1 / (2 + 2)
    assert scores["f1"] == pytest.approx((cause + whole) / 2)
    assert scores["micro_f1"] == pytest.approx(2 * 3 / (6 + 5))


def test_relations_without_a_direction_and_without_an_other():
    assert relation_scores(["a", "b", "c"], np.array([0, 1]), np.array([0, 0]), None) == {
        "f1": pytest.approx(1 / 3),
        "micro_f1": 0.5,
    }
    assert relation_scores(["a", "NA"], np.array([1, 1]), np.array([1, 1]), "NA") == {"f1": 0.0, "micro_f1": 0.0}


def test_usual_names_for_no_relation():
    assert usual_no_relation(LABELS) == "Other"
    assert usual_no_relation(["持股", "unknown"]) == "unknown"
    assert usual_no_relation(["a", "b"]) is None
