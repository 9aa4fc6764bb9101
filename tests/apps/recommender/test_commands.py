"""The program as people run it, from tables to recommendations, with a model that is fine-tuned in between."""

import pytest
from click.testing import CliRunner

import kbert
from apps.recommender.commands import main
from apps.recommender.errors import UsageError


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.long
def test_from_tables_to_recommendations(tables, tmp_path, embedder):
    items, ratings = tables
    films = tmp_path / "films"
    prepared = run("prepare", "--items", items, "--ratings", ratings, "--output", films, "--pairs", 64)
    assert "80 items, 8 new items, 80 users, 8 new users" in prepared.stdout, prepared.output
    kbert.finetune(
        "embedding",
        model=str(embedder),
        train=films / "pairs.csv",
        validation=films / "pairs-validation.csv",
        output=tmp_path / "tuned",
        epochs=1,
        show_progress=False,
    )
    report = tmp_path / "report.html"
    evaluated = run("evaluate", films, "--model", embedder, "--model", tmp_path / "tuned", "--report", report)
    assert evaluated.exit_code == 0, evaluated.output
    assert "| factors from tuned |" in evaluated.stdout
    assert "Some users" in report.read_text()
    asked = ["recommend", films, "--model", tmp_path / "tuned"]
    lines = run(*asked, "--likes", "Cat 7, The", "--likes", "Cat 8, The", "--top", 3, "--diversity", 0.2).stdout
    assert len(lines.splitlines()) == 3
    assert len(run(*asked, "--user", 5, "--new-items", "--top", 2).stdout.splitlines()) == 2


def test_options_that_are_not_possible(data_path):
    for more in ([], ["--user", "5", "--likes", "Cat 7"]):
        result = run("recommend", data_path, "--model", "none", *more)
        assert isinstance(result.exception, UsageError)
        assert "expected --user or --likes" in str(result.exception)
    result = run("evaluate", data_path, "--model", "a/x", "--model", "b/x")
    assert "expected models with different names" in str(result.exception)
