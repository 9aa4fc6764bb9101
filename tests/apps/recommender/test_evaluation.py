import math

import numpy as np
import pytest

from apps.recommender.evaluation.comparison import compare
from apps.recommender.evaluation.fitted import FACTORIZATION, GENRES, HYBRID, POPULARITY
from apps.recommender.evaluation.metrics import ndcg_of, quality_of, recall_of
from apps.recommender.evaluation.question import (
    new_items_question,
    new_users_question,
    next_likes_question,
    validation_question,
)
from apps.recommender.evaluation.report import write_report
from apps.recommender.evaluation.tables import markdown_tables
from apps.recommender.recommending import Recommender


def test_recall():
    assert recall_of([1, 2, 3, 4], {2, 9}) == 0.5
    assert recall_of([1, 2], {1, 2, 3, 4}) == 1.0


def test_ndcg_is_that_of_scikit_learn():
    from sklearn.metrics import ndcg_score

    relevance, scores = np.array([[0, 1, 0, 1, 1]]), np.array([[5, 4, 3, 2, 1]])
    assert ndcg_of([0, 1, 2], {1, 3, 4}) == pytest.approx(ndcg_score(relevance, scores, k=3))
    assert ndcg_of([0, 1], {1}) == pytest.approx(1 / math.log2(3))


def test_quality():
    found = quality_of(np.array([[1, 2], [3, 4]]), [{1}, {9}])
    assert (found.users, found.recall, found.ndcg) == (2, 0.5, 0.5)
    assert found.recall_interval == (0.0, 1.0)


def test_questions_hide_what_they_should(data):
    new = {data.place[item] for item in data.split.new_items}
    for question in (validation_question(data), next_likes_question(data), new_users_question(data)):
        assert question.excluded[:, sorted(new)].all()
    question = new_items_question(data)
    assert all(set(np.flatnonzero(~row)) <= new for row in question.excluded)
    assert all(wanted <= new for wanted in question.wanted)
    for row, history, wanted in zip(question.excluded, question.histories, question.wanted, strict=True):
        assert not wanted & {data.place[item] for item in history}
        assert not row[sorted(wanted)].any()
    assert all(len(history) == 2 for history in new_users_question(data).histories)


@pytest.fixture
def found(data, kind_vectors):
    return compare(data, {"noise": np.random.default_rng(0).normal(size=(80, 8)), "kinds": kind_vectors})


def test_who_wins_where(found):
    """Users like one kind: its texts and its factors tell it, popularity and noise do not."""
    for qualities in (found.next_likes, found.new_users):
        assert {POPULARITY, FACTORIZATION, "noise", "kinds", GENRES, HYBRID} < set(qualities)
        assert qualities["kinds"].recall > qualities["noise"].recall + 0.1
        assert qualities[FACTORIZATION].recall > qualities[POPULARITY].recall + 0.1
    assert {POPULARITY, FACTORIZATION, HYBRID}.isdisjoint(found.new_items)
    assert found.chance == 1.0  # there are only 8 new items
    assert found.new_items["kinds"].ndcg > found.new_items["noise"].ndcg
    similarities = [row.similarity for row in found.diversity]
    assert similarities[0] > similarities[-1]


def test_the_report_and_the_tables(found, data, tmp_path):
    tables = markdown_tables(found)
    assert tables.count("| model | recall@20 | nDCG@20 |") == 3
    assert "| popularity, matrix factorization | – | – |" in tables
    write_report(tmp_path / "report.html", data, found)
    text = (tmp_path / "report.html").read_text()
    assert "cannot answer: nobody has rated these items" in text
    assert text.count('class="card user"') >= 5
    assert "http" not in text.replace("http://www.w3.org", "")


def test_recommendations(data, kind_vectors):
    recommender = Recommender(data, kind_vectors)
    rows = recommender.recommend(["cat1", "cat2"], {"cat3"}, top=5)
    assert [row.item.id[:3] for row in rows] == ["cat"] * 5
    assert {"cat1", "cat2", "cat3"}.isdisjoint(row.item.id for row in rows)
    assert rows[0].reason.startswith("near Cat ")
    assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)
    new = recommender.recommend(["dog1", "dog2"], [], top=3, only_new=True)
    assert {row.item.id for row in new} <= data.split.new_items
    assert new[0].item.id.startswith("dog")
