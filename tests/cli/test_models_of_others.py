"""Models of other libraries on the command line: options supply the settings that their files do not contain."""

import json

import numpy as np
import pytest

from kbert.prediction.loading import load


@pytest.fixture
def answers(run):
    """Runs a command with --json, and gives the values of its lines."""

    def answers(*arguments):
        code, output, errors = run(*arguments, "--json")
        assert code == 0, errors
        return [json.loads(line) for line in output.splitlines()]

    return answers


@pytest.fixture
def foreign_pairs(tmp_path, make_classifier):
    """A classifier of pairs as Transformers saves it: nothing says that it reads pairs."""
    folder = make_classifier(tmp_path / "pairs", paired=True, sequence_length=32)
    (folder / "kbert.json").unlink()
    return folder


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,second,label\nthe cat,a cat,fine\na dog,the mat,bad\n")
    return path


@pytest.mark.slow
def test_a_pair_classifier(answers, run, tmp_path, foreign_pairs, table):
    expected = load(foreign_pairs, paired=True).predict(["the cat", "a dog"], ["a cat", "the mat"])
    for arguments in (
        ("the cat", "a dog", "--pair", "a cat", "--pair", "the mat"),
        ("--input", table, "--pair-column", "second"),
    ):
        rows = answers("predict", foreign_pairs, *arguments)
        assert [row["label"] for row in rows] == [row["label"] for row in expected]
        assert rows[1]["probabilities"] == pytest.approx(expected[1]["probabilities"], abs=1e-6)
    (metrics,) = answers("evaluate", foreign_pairs, "--data", table, "--pair-column", "second")
    right = sum(row["label"] == label for row, label in zip(expected, ("fine", "bad"), strict=True))
    assert metrics["accuracy"] == right / 2
    code, output, errors = run("export", "saved-model", foreign_pairs, "--paired", "--output", tmp_path / "served")
    assert (code, output.strip()) == (0, str(tmp_path / "served" / "1")), errors

    import tensorflow as tf

    served = tf.saved_model.load(output.strip()).signatures["serving_default"]
    found = served(text=tf.constant(["a dog"]), text_pair=tf.constant(["the mat"]))["probabilities"].numpy()
    np.testing.assert_allclose(found[0], list(expected[1]["probabilities"].values()), atol=1e-5)


def test_a_model_of_kbert_knows_what_it_reads(run, classifier, table):
    code, _, errors = run("predict", classifier, "the cat", "--pair", "a cat")
    assert (code, errors) == (2, f"Error: {classifier} reads single texts\n")
    code, _, errors = run("evaluate", classifier, "--data", table, "--pair-column", "second")
    assert (code, errors) == (2, f"Error: {classifier} reads single texts\n")


@pytest.mark.slow
def test_a_cross_encoder(answers, run, tmp_path, make_cross_encoder):
    folder = make_cross_encoder(tmp_path / "m")
    (row,) = answers("predict", folder, "the dog", "--pair", "a cat", "--pair", "the mat")
    assert row["best"] in ("a cat", "the mat")
    path = tmp_path / "t.csv"
    path.write_text("query,candidate,label\nthe cat,a cat,1\nthe cat,the mat,0\n")
    (metrics,) = answers("evaluate", folder, "--data", path, "--label-column", "label")
    assert metrics["mrr"] in (0.5, 1.0)
    code, _, errors = run("export", "litert", folder, "--output", tmp_path / "m.tflite", "--sequence-length", "16")
    assert code == 0, errors
    (row,) = answers("predict", folder, "the dog", "--pair", "a cat", "--task", "regression")
    assert list(row) == ["text", "pair", "value"]


@pytest.mark.slow
def test_vectors(answers, run, tmp_path, make_sentence_folder):
    folder = make_sentence_folder(tmp_path / "m", library={"prompts": {"query": "the cat "}})
    expected = load(folder).answers(["the cat dog", "a mat", "mat"])["vector"]
    for arguments, row in (
        (["the cat dog"], 0),
        (["dog", "--prompt-name", "query"], 0),
        (["mat", "--prompt", "a "], 1),
    ):
        assert answers("predict", folder, *arguments)[0]["vector"] == pytest.approx(expected[row].tolist(), abs=1e-6)
    table = tmp_path / "t.tsv"
    table.write_text("sentence1\tsentence2\tscore\nthe cat\ta cat\t3\na dog\tthe mat\t1\nmat\tmats\t5\n")
    (metrics,) = answers("evaluate", folder, "--data", table)
    assert metrics.keys() == {"examples", "spearman", "pearson"}
    code, output, errors = run("inspect", folder)
    assert code == 0, errors
    for line in ("task               embedding", "pooling            mean", "prompts            query 'the cat '"):
        assert line in output.splitlines()
    code, output, errors = run(
        "export", "saved-model", folder, "--prompt-name", "query", "--output", tmp_path / "served"
    )
    assert code == 0, errors

    import tensorflow as tf

    served = tf.saved_model.load(output.strip()).signatures["serving_default"]
    np.testing.assert_allclose(served(text=tf.constant(["dog"]))["vector"][0], expected[0], atol=1e-5)
    for pooling in ("max", "cls"):
        code, _, errors = run(
            "export",
            "litert",
            folder,
            "--pooling",
            pooling,
            "--output",
            tmp_path / "m.tflite",
            "--sequence-length",
            "16",
        )
        assert code == 0, errors


@pytest.mark.long
def test_an_index(answers, run, tmp_path, make_sentence_folder):
    folder = make_sentence_folder(tmp_path / "m")
    (folder / "modules.json").unlink()
    documents = tmp_path / "d.jsonl"
    documents.write_text('{"id": 1, "text": "the cat"}\n{"id": 2, "text": "a slow dog"}\n')
    index = ("index", "build", folder, "--input", documents, "--output", tmp_path / "i")
    code, _, errors = run(*index)
    assert (code, errors.count("--pooling mean, cls or max")) == (1, 1)
    code, _, errors = run(*index, "--pooling", "mean", "--prompt", "fast ", "--query-prompt", "slow ")
    assert code == 0, errors
    found = [answers("search", tmp_path / "i", "dog", *more)[0] for more in ((), ("--prompt", "slow "))]
    assert found[0] == found[1] != answers("search", tmp_path / "i", "dog", "--prompt", "")[0]


def test_options_that_do_not_fit(run, pretrained, tmp_path):
    code, _, errors = run("predict", pretrained, "the cat", "--pooling", "none")
    assert (code, errors.startswith("Error: expected --pooling none with --features only. ")) == (2, True)
    code, _, errors = run("predict", pretrained, "the", "--features", "--output", tmp_path / "v.npy", "--prompt", "x")
    assert (code, errors.startswith("Error: expected --features without --task, prompts and --abstain-below, ")) == (
        2,
        True,
    )
