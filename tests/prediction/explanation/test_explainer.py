import json

import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.errors import UsageError
from kbert.prediction.loading import load
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.semantic_roles import SemanticRolesTask

TEXTS = ["The cats sat!", "a dog"]


def explain(*arguments):
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


@pytest.mark.long
def test_explanations_of_a_classifier(classifier):
    loaded = load(classifier)
    first, second = loaded.explain(TEXTS)
    assert list(first) == ["text", "label", "words", "completeness_gap"]
    assert [answer["label"] for answer in (first, second)] == [answer["label"] for answer in loaded.predict(TEXTS)]
    assert [(word["word"], word["start"], word["end"]) for word in first["words"]] == [
        ("The", 0, 3),
        ("cats", 4, 8),
        ("sat", 9, 12),
        ("!", 12, 13),
    ]
    assert all(isinstance(word["score"], float) for word in first["words"])
    assert first["completeness_gap"] <= 0.01
    json.dumps([first, second])


@pytest.mark.long
def test_a_label_is_chosen(classifier):
    loaded = load(classifier)
    (good,) = loaded.explain("a dog", label="good", method="gradient-x-input")
    assert good["label"] == "good"
    (bad,) = loaded.explain("a dog", label="bad", method="gradient-x-input")
    assert good["words"] != bad["words"]
    with pytest.raises(UsageError, match=r"^label must be one of the labels bad, fine, good\. Received: label='x'$"):
        loaded.explain("a dog", label="x")


@pytest.mark.long
def test_words_of_pairs_have_the_name_of_their_text(pair_classifier):
    (found,) = load(pair_classifier).explain(["the cat"], ["a dog"], method="gradient-x-input")
    assert [(word["word"], word["input"]) for word in found["words"]] == [
        ("the", "text"),
        ("cat", "text"),
        ("a", "pair"),
        ("dog", "pair"),
    ]


@pytest.mark.long
def test_other_tasks(tmp_path, make_task_model):
    (number,) = load(make_task_model(tmp_path / "a", RegressionTask(mean=3.0, deviation=2.0))).explain(
        "the cat", method="gradient-x-input"
    )
    assert list(number) == ["text", "value", "words", "completeness_gap"]
    (labels,) = load(make_task_model(tmp_path / "b", MultilabelTask(["x", "y"]))).explain("the cat", method="occlusion")
    assert labels["label"] in ("x", "y")
    with pytest.raises(UsageError, match=r"answers can be explained \(.*\)\. Received: a model for semantic-roles$"):
        load(make_task_model(tmp_path / "c", SemanticRolesTask(["A0"]))).explain(["the cat"])
    with pytest.raises(
        UsageError, match=r"^span must be left out, since the answers of a model for regression have no"
    ):
        load(tmp_path / "a").explain("the cat", span=(0, 3))


@pytest.mark.long
def test_the_cosine_of_two_texts(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", EmbeddingTask(prompt="the ", pair_prompt="a dog ")))
    found = model.explain(["cats sat", "mat"], ["fast !", "the dog ran"])
    assert [[(word["word"], word["input"]) for word in each["words"]] for each in found] == [
        [("cats", "text"), ("sat", "text"), ("fast", "pair"), ("!", "pair")],
        [("mat", "text"), ("the", "pair"), ("dog", "pair"), ("ran", "pair")],
    ]
    first, second = (
        load(tmp_path / "run", prompt=prompt).answers([text])["vector"][0]
        for prompt, text in (("the ", "cats sat"), ("a dog ", "fast !"))
    )
    assert found[0]["value"] == pytest.approx(float(first @ second), abs=1e-5)
    assert max(each["completeness_gap"] for each in found) <= 0.01
    with pytest.raises(UsageError, match=r"^this model answers for text and pair; give the second ones too \(--pair\)"):
        model.explain(["cats"])


@pytest.mark.long
def test_the_best_of_several_texts_is_explained(tmp_path, make_task_model):
    texts = ["a dog", "the mat .", "cats"]
    ranker = load(make_task_model(tmp_path / "a", RankingTask()))
    (found,) = ranker.explain(["the cat"], [texts], method="gradient-x-input")
    (prediction,) = ranker.predict(["the cat"], [texts])
    assert found["choice"] == prediction["best"]
    assert found["value"] == pytest.approx(max(prediction["scores"]), abs=1e-5)
    chooser = load(make_task_model(tmp_path / "b", MultipleChoiceTask()))
    (found,) = chooser.explain(["the cat"], [texts])
    assert found["choice"] == chooser.predict(["the cat"], [texts])[0]["choice"]
    assert {word["input"] for word in found["words"]} == {"prompt", "choices"}
    assert "".join(word["word"] for word in found["words"] if word["input"] == "choices") == found["choice"].replace(
        " ", ""
    )
    assert found["completeness_gap"] <= 0.01


@pytest.mark.long
def test_the_command(tmp_path, classifier):
    lines = explain(classifier, *TEXTS, "--method", "gradient-x-input").stdout.splitlines()
    assert lines[0].split("\t")[1].startswith("The(")
    result = explain(classifier, *TEXTS, "--json", "--label", "good", "--method", "gradient-x-input")
    assert [json.loads(line)["label"] for line in result.stdout.splitlines()] == ["good", "good"]
    result = explain(classifier, "a <b>dog", "--html", tmp_path / "page.html", "--method", "gradient-x-input")
    assert result.stderr == f"1 explanations: {tmp_path}/page.html\n"
    assert ">dog</mark>" in (tmp_path / "page.html").read_text()
    result = explain(classifier, "a", "--html", tmp_path / "page.html", "--json")
    assert (result.exit_code, result.stderr) == (2, "Error: choose one of --html FILE and --json. Received: both\n")
