import numpy as np
import pytest

from apps.recommender.models.content import Content
from apps.recommender.models.factorization import Factorization
from apps.recommender.models.hybrid import combined, standardized
from apps.recommender.models.interactions import like_matrix
from apps.recommender.models.mapped import MappedFactors
from apps.recommender.models.popularity import Popularity
from apps.recommender.models.ranking import best_items, diverse_items, intra_list_similarity
from apps.recommender.models.vectors import item_vectors

PLACE = {"a": 0, "b": 1, "c": 2, "d": 3}


def test_likes_count_once():
    matrix = like_matrix([["a", "a", "c"], [], ["b"]], PLACE)
    assert matrix.toarray().tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_popularity():
    scores = Popularity(like_matrix([["a", "b"], ["a"]], PLACE)).scores(3)
    assert scores.shape == (3, 4)
    assert np.argsort(-scores[2], kind="stable").tolist() == [0, 1, 2, 3]


def test_factorization_finds_groups_and_knows_nothing_of_new_items():
    likes = like_matrix([["a", "b"], ["a", "b"], ["b"], ["c"], ["c"]], PLACE)
    model = Factorization(likes, size=2)
    scores = model.scores(like_matrix([["a"]], PLACE))[0]
    assert scores[1] > scores[2] + 0.1
    assert scores[3] == pytest.approx(0, abs=1e-6)


def test_recent_likes_count_most():
    vectors = np.eye(4, dtype=np.float32)
    recent = Content(vectors, half_life=1.0).scores([["a", "b"]], PLACE)[0]
    assert recent[1] > recent[0] > recent[2]
    same = Content(vectors).scores([["a", "b"]], PLACE)[0]
    assert same[0] == pytest.approx(same[1], abs=1e-6)
    assert np.abs(Content(vectors).scores([[]], PLACE)).max() == 0


def test_texts_give_factors_to_new_items(data, kind_vectors):
    histories = [user.train for user in data.split.users]
    likes = like_matrix(histories, data.place)
    factorization = Factorization(likes, size=4)
    mapped = MappedFactors(factorization, kind_vectors, likes)
    scores = mapped.scores(like_matrix([["cat1", "cat2", "cat3"]], data.place))[0]
    new = [data.place[item] for item in sorted(data.split.new_items)]
    cats = [place for place in new if data.items[place].id.startswith("cat")]
    assert cats
    assert min(scores[cats]) > max(scores[place] for place in new if place not in cats)


def test_scores_of_models_are_added_on_one_scale():
    scores = {"x": np.array([[0.0, 100.0]]), "y": np.array([[3.0, 1.0]])}
    assert standardized(scores["x"]).tolist() == [[-1, 1]]
    assert combined(scores, {"x": 1.0, "y": 0.5}).tolist() == [[-0.5, 0.5]]
    assert combined(scores, {"x": 1.0, "y": 0.0}).tolist() == [[-1, 1]]


def test_lists_exclude_what_is_known():
    scores = np.array([[3.0, 2.0, 2.0, 1.0]])
    assert best_items(scores, np.array([[True, False, False, False]]), 2).tolist() == [[1, 2]]


def test_diverse_lists():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    scores, candidates = np.array([1.0, 0.9, 0.5, 0.0]), np.arange(4)
    assert diverse_items(scores, candidates, vectors, 3, 1.0).tolist() == [0, 1, 2]
    assert diverse_items(scores, candidates, vectors, 3, 0.5).tolist() == [0, 2, 1]
    assert diverse_items(scores[2:], candidates[2:], vectors, 3, 0.5).tolist() == [2, 3]


def test_intra_list_similarity():
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    assert intra_list_similarity(np.array([[0, 1]]), vectors) == pytest.approx(1)
    assert intra_list_similarity(np.array([[0, 1, 2]]), vectors) == pytest.approx(1 / 3)


def test_vectors_are_computed_once(embedder, tmp_path, monkeypatch):
    texts = ["the cat", "a dog ran", "the cat"]
    vectors = item_vectors(texts, str(embedder), tmp_path)
    assert vectors.shape == (3, 32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-5)
    monkeypatch.setattr("kbert.load", None)
    assert np.array_equal(item_vectors(texts, str(embedder), tmp_path), vectors)


def test_a_model_for_another_task(classifier, tmp_path):
    from apps.recommender.errors import RecommenderError

    with pytest.raises(RecommenderError, match="expected a model for embedding"):
        item_vectors(["a"], str(classifier), tmp_path)
