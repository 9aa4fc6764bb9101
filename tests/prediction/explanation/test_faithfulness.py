import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.errors import UsageError
from kbert.prediction.explanation.faithfulness import PARTS, faithfulness, removed_words
from kbert.prediction.loading import load
from kbert.tasks.regression import RegressionTask

TEXTS = ["the cat sat on the mat .", "unaffable dogs ran !", "", "a"]


def test_at_least_one_word_is_removed():
    order = [2, 0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert [sorted(removed_words(order, part)) for part in PARTS] == [[2], [2], [2], [0, 2], [0, 1, 2, 3, 4]]


@pytest.fixture(scope="module")
def found(classifier):
    return faithfulness(load(classifier).text_model, {"text": TEXTS})


@pytest.mark.long
def test_all_methods_are_measured_beside_random_words(found):
    assert found["examples"] == 3  # a text without words is left out
    assert list(found["methods"]) == ["integrated-gradients", "gradient-x-input", "occlusion", "random"]
    for scores in found["methods"].values():
        assert -1 <= scores["comprehensiveness"] <= 1
        assert -1 <= scores["sufficiency"] <= 1
        assert -1 <= scores["fifth_removed"] <= 1
    assert found["methods"]["integrated-gradients"]["largest_gap"] <= 0.01
    assert -1 <= found["random_weights_correlation"] <= 1


@pytest.mark.slow
def test_the_words_that_a_model_depends_on_are_found(classifier):
    """With a single text of two words, the method that removes the right word wins over random words."""
    loaded = load(classifier)
    words = ["cat", "fast"]
    (explained,) = loaded.explain(" ".join(words), method="occlusion")
    label = explained["label"]
    whole = loaded.predict(" ".join(words))[0]["probabilities"][label]
    drops = [whole - loaded.predict(other)[0]["probabilities"][label] for other in words[::-1]]
    scores = [word["score"] for word in explained["words"]]
    found = faithfulness(loaded.text_model, {"text": [" ".join(words)]})["methods"]
    best = scores.index(max(scores))
    assert found["occlusion"]["fifth_removed"] == pytest.approx(drops[best], abs=1e-5)
    assert found["random"]["fifth_removed"] == pytest.approx(sum(drops) / 2, abs=abs(drops[0] - drops[1]) / 2 + 1e-5)


@pytest.mark.slow
def test_the_command_prints_a_table(tmp_path, classifier):
    path = tmp_path / "dev.csv"
    path.write_text("text,label\nthe cat sat,bad\na dog,good\nfast !,fine\n")
    command = ["evaluate", str(classifier), "--data", str(path), "--faithfulness", "--explained-examples", "2"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "faithfulness of explanations, 2 examples" in result.stdout
    assert "integrated-gradients" in result.stdout


def test_tasks_without_probabilities_of_labels(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", RegressionTask()))
    with pytest.raises(UsageError, match=r"^faithfulness is measured for classification and multilabel"):
        faithfulness(model.text_model, {"text": TEXTS})
