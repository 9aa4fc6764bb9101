"""Complete runs of the tasks on texts and pairs, with files as users have them."""

import json

import numpy as np
import pytest

from kbert.errors import DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.pretrained.loading import load_model
from kbert.training.finetune import finetune

WORDS = ["sat", "ran", "fast", "slow", "on", "mat"]


def run(task, folder, pretrained, train, **options):
    defaults = {
        "batch_size": 8,
        "learning_rate": 1e-3,
        "sequence_length": 16,
        "epochs": 2,
        "show_progress": False,
        "validation_split": 0.25,
    }
    return finetune(task, model=pretrained, train=train, output=folder, **defaults | options)


@pytest.mark.long
def test_multilabel(tmp_path, pretrained):
    path = tmp_path / "train.txt"
    rows = [
        f"the {animal} {word} .;{label}"
        for word in WORDS * 2
        for animal, label in (("cat", "Katze"), ("dog", "Hündin,大"), ("mat", ""))
    ]
    path.write_bytes("\n".join(rows).encode("gb18030"))
    reading = {"delimiter": ";", "encoding": "gb18030", "label_separator": ","}
    columns = {"text_column": "1", "label_column": "2"}
    metrics = run("multilabel", tmp_path / "run", pretrained, path, **reading, **columns)
    assert metrics["examples"] == 8
    model = load(tmp_path / "run")
    assert model.task.labels == ["Hündin", "Katze", "大"]
    settings = Bundle.load(tmp_path / "run").settings["task"]
    assert settings["thresholds"] == model.task.thresholds != [0.5] * 3
    assert settings["thresholds"] == [metrics["per_class"][label]["threshold"] for label in model.task.labels]
    # It reads the next file as the first, and any other as it is told.
    again = model.evaluate(path)
    assert again["examples"] == 36
    other = tmp_path / "other.csv"
    other.write_text("text,tags\nthe cat ran .,Katze|大\n")
    options = {"delimiter": ",", "encoding": "utf-8", "label_separator": "|"}
    assert model.evaluate(other, text_column="text", label_column="tags", **options)["examples"] == 1
    assert model.read_inputs(path)[0][:2] == ["the cat sat .", "the dog sat ."]
    lines = tmp_path / "lines.txt"
    lines.write_text("the 大 mat\na ; b\n", encoding="gb18030")
    assert model.read_inputs(lines) == [["the 大 mat", "a ; b"]]
    # The labels that the graph gives are those that evaluation counts.
    (row,) = model.predict(["the cat ran ."])
    given = [label for label, p in row["probabilities"].items() if p >= metrics["per_class"][label]["threshold"]]
    assert row["labels"] == given


@pytest.fixture(scope="module")
def regression_run(tmp_path_factory, pretrained):
    folder = tmp_path_factory.mktemp("regression")
    path = folder / "train.tsv"
    rows = [
        f"the {animal} {word} .\t{1000 + 100 * (animal == 'cat')}" for word in WORDS * 2 for animal in ("cat", "dog")
    ]
    path.write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    options = {"validation": path, "validation_split": None, "epochs": 20, "dropout": 0.0, "learning_rate": 1e-2}
    metrics = run("regression", folder / "run", pretrained, path, **options)
    return folder / "run", path, metrics


def test_regression_learns_numbers_of_any_size(regression_run):
    folder, path, metrics = regression_run
    assert metrics["pearson"] > 0.9
    assert metrics["mae"] < 30
    again = load(folder).evaluate(path)
    assert again["mse"] == pytest.approx(metrics["mse"], rel=1e-3)


def test_the_model_holds_no_text_of_the_user(regression_run):
    folder, _, metrics = regression_run
    kept = json.loads((folder / "worst_examples.json").read_text())["worst_examples"]
    assert kept == metrics["worst_examples"]
    assert kept[0]["text"].startswith("the ")
    assert "worst_examples" not in Bundle.load(folder).settings["metrics"]
    for name in ("kbert.json", "config.json", "README.md", "run.json"):
        assert kept[0]["text"] not in (folder / name).read_text()


def test_the_head_of_a_regression_gives_numbers_as_they_are(regression_run):
    """Mean and deviation are in the weights: whoever opens the folder gets the same numbers."""
    folder, _, _ = regression_run
    batch = {
        "input_word_ids": np.array([[2, 5, 7, 12, 20, 3]], np.int32),
        "input_mask": np.ones((1, 6), np.int32),
        "input_type_ids": np.zeros((1, 6), np.int32),
    }
    plain = float(load_model(folder)(batch)["logits"][0, 0])
    predictor = load(folder)
    assert 950 < plain < 1150
    assert plain == pytest.approx(float(predictor.model(batch)["logits"][0, 0]), abs=1e-2)
    assert json.loads((folder / "config.json").read_text())["problem_type"] == "regression"
    # Without kbert.json it is a regression of Transformers'.
    bundle = Bundle.load(folder)
    bundle.settings = {}
    bundle.save(folder.parent / "foreign", "# A card\n")
    foreign = load(folder.parent / "foreign", paired=False)
    assert foreign.task.name == "regression"
    assert foreign.predict(["the cat"])[0]["value"] == pytest.approx(
        predictor.predict(["the cat"])[0]["value"], abs=1e-2
    )


@pytest.mark.slow
def test_multiple_choice(tmp_path, pretrained):
    path = tmp_path / "train.jsonl"
    rows = [
        {"prompt": f"the {word}", "choices": choices, "label": choices.index("cat")}
        for word in WORDS
        for choices in (["cat", "dog"], ["dog", "mat", "cat"], ["mat", "cat", "dog"], ["cat", "mat"])
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    metrics = run("multiple-choice", tmp_path / "run", pretrained, path, epochs=12)
    assert metrics["accuracy"] == 1.0
    model = load(tmp_path / "run")
    assert model.task.settings() == {"name": "multiple-choice", "label_format": "0"}
    assert model.predict(["the fast"], [["dog", "cat"]])[0]["choice"] == "cat"
    assert Bundle.load(tmp_path / "run").architecture == "BertForMultipleChoice"


# === A part of the rows held out ===


@pytest.mark.slow
def test_the_held_out_rows_are_the_same_with_the_same_seed(tmp_path, pretrained):
    path = tmp_path / "train.csv"
    path.write_text("text,label\n" + "".join(f"the {w},{n % 2}\n" for n, w in enumerate(WORDS * 4)))
    first = run("classification", tmp_path / "a", pretrained, path, epochs=1)
    assert first["examples"] == 8
    assert first == run("classification", tmp_path / "b", pretrained, path, epochs=1)
    assert "16 rows, 2 steps" in (tmp_path / "a" / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"validation_split": None},
            r"^give one of --validation FILE, --validation-split such as 0\.1, and --folds K$",
        ),
        ({"validation": "dev.csv"}, r"^give one of validation and validation_split\. Received: both$"),
        ({"validation_split": 0.01}, r"^--validation-split must leave .* Received: 0\.01 of 2 examples$"),
        ({"validation_split": 0.99}, r"^--validation-split must leave .* Received: 0\.99 of 2 examples$"),
        (
            {"validation_split": 1.0},
            r"^validation_split must be above 0 and below 1\. Received: validation_split=1\.0$",
        ),
        ({"class_weights": "c=2"}, r"^class_weights must name labels \(0, 1\)\. Received: 'c'$"),
        ({"label_smoothing": 2.0}, r"^label_smoothing must be at least 0 and below 1\. "),
        ({"encoding": "klingon"}, r"^encoding must be one that Python knows, "),
    ],
)
def test_options_that_cannot_be(tmp_path, pretrained, options, message):
    path = tmp_path / "train.csv"
    path.write_text("text,label\na,0\nb,1\n")
    with pytest.raises(UsageError, match=message):
        run("classification", tmp_path / "run", pretrained, path, **options)
    assert not (tmp_path / "run").exists()


def test_a_label_that_only_the_validation_file_has(tmp_path, pretrained):
    (tmp_path / "train.csv").write_text("text,label\na,好\nb,坏\n")
    (tmp_path / "dev.csv").write_text("text,label\na,好\nb,中\n")
    with pytest.raises(
        DataError, match=r"dev\.csv:3: expected one of the labels seen in training \(坏, 好\)\. Received '中'$"
    ):
        run(
            "classification",
            tmp_path / "run",
            pretrained,
            tmp_path / "train.csv",
            validation=tmp_path / "dev.csv",
            validation_split=None,
        )


@pytest.fixture(scope="module")
def parallel_files(tmp_path_factory):
    """Twelve sentences; the second word of each target depends on the source."""
    folder = tmp_path_factory.mktemp("parallel")
    others = (("cat", "dog"), ("dog", "mat"))
    rows = [(f"the {one} {word} .", f"a {other} {word}") for word in WORDS for one, other in others]
    for ending, column in (("de", 0), ("en", 1)):
        (folder / f"train.{ending}").write_text("\n".join(row[column] for row in rows) + "\n")
    return folder / "train.de"


@pytest.mark.long
def test_generation_makes_a_masked_language_model(tmp_path, pretrained, parallel_files, logged):
    metrics = run("generation", tmp_path / "run", pretrained, parallel_files, target_ending="en", epochs=1)
    assert {"bleu", "chrf", "rougeL", "length_ratio", "loss"} <= metrics.keys()
    assert "new weights" not in " ".join(logged())  # the head of a pretrained model is taken
    bundle = Bundle.load(tmp_path / "run")
    assert (bundle.architecture, bundle.settings["task"]["decoding"]["max_target"]) == ("BertForMaskedLM", 8)
    (tmp_path / "run" / "kbert.json").unlink()
    assert load(tmp_path / "run").task.name == "fill-mask"


@pytest.mark.slow
def test_generation_learns_to_write(tmp_path, pretrained, parallel_files):
    options = {"validation": parallel_files, "validation_split": None, "epochs": 160, "dropout": 0.0}
    options |= {"learning_rate": 5e-3, "target_ending": "en", "target_masks": 0.05, "evaluate_every": 240}
    metrics = run("generation", tmp_path / "run", pretrained, parallel_files, **options)
    assert metrics["chrf"] > 95
    model = load(tmp_path / "run")
    assert model.evaluate(parallel_files)["chrf"] == pytest.approx(metrics["chrf"], abs=1e-3)
    assert model.predict(["the cat ran ."])[0]["generated"] == "a dog ran"
    assert load(tmp_path / "run", beams=3).predict(["the dog sat ."])[0]["generated"] == "a mat sat"
