import pytest

from kbert.tasks.metrics.semantic_roles import joined_arguments, predicate_scores, role_counts

PIECES = [("C-ARG1", 9, 12), ("ARG1", 0, 4), ("ARG0", 5, 6), ("V", 6, 9)]


def test_continuations_are_joined():
    assert joined_arguments(PIECES) == {("ARG1", ((0, 4), (9, 12))), ("ARG0", ((5, 6),))}
    assert joined_arguments([("C-ARG1", 9, 12)]) == {("ARG1", ((9, 12),))}
    twice = [("ARG1", 0, 1), ("ARG1", 2, 3), ("C-ARG1", 4, 5)]
    assert joined_arguments(twice) == {("ARG1", ((0, 1),)), ("ARG1", ((2, 3), (4, 5)))}
    assert joined_arguments([("C-ARG1", 0, 1), ("ARG1", 2, 3)]) == {("ARG1", ((0, 1),)), ("ARG1", ((2, 3),))}


def test_the_scores_of_conll_2005():
    """A part of a split argument alone is wrong; arguments of a missing predicate are missed."""
    true = [{(6, 9): joined_arguments(PIECES), (20, 22): joined_arguments([("ARG0", 1, 2)])}, {}]
    found = [
        {(6, 9): joined_arguments([("ARG1", 0, 4), ("ARG0", 5, 6)])},
        {(3, 4): joined_arguments([("ARG0", 0, 1)])},
    ]
    official = role_counts(true, found, skip_excess=True)
    assert official.scores("_x") == {
        "precision_x": pytest.approx(1 / 2),
        "recall_x": pytest.approx(1 / 3),
        "f1_x": pytest.approx(0.4),
    }
    assert (official.predicates, official.perfect) == (2, 0)
    strict = role_counts(true, found, skip_excess=False)
    assert strict.scores()["precision"] == pytest.approx(1 / 3)
    assert strict.by_role()["ARG0"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert role_counts([{}], [{}], skip_excess=False).scores() == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_scores_of_predicates():
    scores = predicate_scores([[(0, 1), (2, 3)], []], [[(0, 1)], [(5, 6)]])
    assert scores == {"predicate_precision": 0.5, "predicate_recall": 0.5, "predicate_f1": 0.5}
