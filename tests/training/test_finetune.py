import json
import shutil

import numpy as np
import pytest

import kbert
from kbert.errors import BundleError, DataError, KbertError, TrainingError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.training.finetune import finetune
from kbert.training.run_folder.checkpoints import read_arrays


def table(path, texts):
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in texts))
    return path


@pytest.fixture
def tables(tmp_path):
    """Texts with a cat are "yes", those with a dog "no"."""
    words = ["sat", "ran", "fast", "slow", "on", "mat"]
    texts = [
        (f"the {first} {animal} {second} .", label)
        for first in words
        for second in words
        for animal, label in (("cat", "yes"), ("dog", "no"))
    ]
    return {
        "train": table(tmp_path / "train.csv", texts),
        "validation": table(tmp_path / "dev.csv", texts[10:30]),
    }


def run(tables, output, model, **options):
    defaults = {
        "batch_size": 8,
        "learning_rate": 1e-3,
        "sequence_length": 16,
        "epochs": 1,
        "show_progress": False,
    }
    return finetune("classification", model=model, output=output, **tables, **defaults | options)


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory, vocabulary):
    """A run from a preset, with its tables and metrics."""
    folder = tmp_path_factory.mktemp("toy")
    toy_tables = tables.__wrapped__(folder)
    vocabulary.save(folder / "vocab.txt")
    metrics = run(toy_tables, folder / "run", "tiny", vocab=folder / "vocab.txt", epochs=3)
    return toy_tables, folder / "run", metrics


def test_a_set_that_is_easily_told_apart_is_learnt(toy_run):
    _, output, metrics = toy_run
    assert metrics["accuracy"] == 1.0
    assert metrics["examples"] == 20
    assert metrics["confusion_matrix"] == [[10, 0], [0, 10]]
    answers = load(output).predict(["the slow cat sat .", "the slow dog ran ."])
    assert [answer["label"] for answer in answers] == ["yes", "no"]


def test_the_folder_is_a_bundle_with_its_task_and_metrics(toy_run, vocabulary):
    toy_tables, output, metrics = toy_run
    bundle = Bundle.load(output)
    assert bundle.architecture == "BertForSequenceClassification"
    assert bundle.config.vocab_size == 23
    assert bundle.tokenizer.vocabulary == vocabulary
    assert bundle.settings["task"] == {
        "name": "classification",
        "labels": ["no", "yes"],
        "paired": False,
        "class_weights": {},
        "label_smoothing": 0.0,
    }
    assert bundle.settings["sequence_length"] == 16
    assert bundle.settings["reading"] == {"columns": {"text": "text", "label": "label"}, "options": {}}
    assert bundle.settings["metrics"] == {name: metrics[name] for name in metrics if name != "worst_examples"}
    assert load(output).evaluate(toy_tables["validation"]) | {"loss": metrics["loss"]} == metrics
    assert "72 rows, 27 steps" in (output / "README.md").read_text()


def test_each_epoch_is_evaluated_and_the_best_is_kept(toy_run):
    _, output, metrics = toy_run
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    # Of evaluations with an equal accuracy the one with the lower loss is the best.
    evaluated = {
        row["step"]: (row["validation_accuracy"], -row["validation_loss"])
        for row in rows
        if "validation_accuracy" in row
    }
    assert list(evaluated) == [9, 18, 27]
    best = max(evaluated.values())
    arrays, header = read_arrays(output / "checkpoints" / "best.safetensors")
    assert header["step"] == next(step for step, accuracy in evaluated.items() if accuracy == best)
    assert header["metrics"] == metrics
    for name, tensor in Bundle.load(output).tensors.items():
        np.testing.assert_array_equal(tensor, arrays[name])


@pytest.mark.slow
def test_the_best_weights_are_not_the_last_where_training_misleads(tmp_path, tables, vocab_file):
    """The labels of the validation file are the wrong way round: the more is learnt, the worse."""
    text = tables["validation"].read_text()
    tables["validation"].write_text(text.replace(",no", ",?").replace(",yes", ",no").replace(",?", ",yes"))
    metrics = run(tables, tmp_path / "run", "tiny", vocab=vocab_file, epochs=3)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    evaluated = [row["validation_accuracy"] for row in rows if "validation_accuracy" in row]
    assert evaluated[-1] < max(evaluated) == metrics["accuracy"]
    assert load(tmp_path / "run").evaluate(tables["validation"])["accuracy"] == metrics["accuracy"]


@pytest.mark.long
def test_resumed_it_ends_as_in_one_go(tmp_path, tables, pretrained):
    """The first run is cut back to its checkpoint of step 6, as if it had been killed after it."""
    options = {"checkpoint_every": 6, "evaluate_every": 4, "log_every": 1}
    expected = run(tables, tmp_path / "whole", pretrained, **options)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    (tmp_path / "cut" / "checkpoints" / "step-00000009.safetensors").unlink()
    (tmp_path / "cut" / "model.safetensors").unlink()
    assert run(tables, tmp_path / "cut", pretrained, resume=True, **options) == expected
    whole, cut = (tmp_path / name / "model.safetensors" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()


@pytest.mark.slow
def test_another_vocabulary_is_another_run(tmp_path, tables, vocab_file):
    run(tables, tmp_path / "run", "tiny", vocab=vocab_file)
    words = vocab_file.read_text().splitlines()
    other = tmp_path / "other.txt"
    other.write_text("\n".join([*words[:-2], words[-1], words[-2]]) + "\n")
    with pytest.raises(UsageError, match=r"^the content of vocab is not the one that .*run was started with; "):
        run(tables, tmp_path / "run", "tiny", vocab=other, resume=True)
    with pytest.raises(UsageError, match=r"run was started with cased=False\. Received: cased=True; "):
        run(tables, tmp_path / "run", "tiny", vocab=vocab_file, cased=True, resume=True)


@pytest.mark.long
def test_the_encoder_starts_from_the_weights_of_the_model_and_limit_draws_rows(tmp_path, tables, pretrained):
    run(tables, tmp_path / "run", pretrained, learning_rate=1e-12, limit=40)
    assert "40 rows, 5 steps" in (tmp_path / "run" / "README.md").read_text()
    before, after = Bundle.load(pretrained).tensors, Bundle.load(tmp_path / "run").tensors
    shared = before.keys() & after.keys()
    assert len(shared) == 5 + 16 + 2
    for name in shared:
        np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-9)
    assert after.keys() - shared == {"classifier.weight", "classifier.bias"}


@pytest.mark.slow
def test_pairs_and_numbered_columns_and_accumulation(tmp_path, pretrained):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{n % 2}\tthe cat\ta {'dog' if n % 2 else 'mat'}\n" for n in range(16)))
    metrics = run(
        {"train": path, "validation": path},
        tmp_path / "run",
        pretrained,
        text_column="2",
        pair_column="3",
        label_column="1",
        accumulation=2,
        precision="bfloat16",
    )
    assert metrics["examples"] == 16
    model = load(tmp_path / "run")
    assert model.task.paired
    assert model.task.labels == ["0", "1"]
    assert len(model.predict(["the cat"], ["a dog"])) == 1


def test_a_preset_wants_a_vocabulary_and_a_model_brings_its_own(tmp_path, tables, pretrained, vocab_file):
    with pytest.raises(
        UsageError, match=r"^the preset tiny has no vocabulary of its own; give a vocabulary with --vocab$"
    ):
        run(tables, tmp_path / "run", "tiny")
    for options in ({"vocab": vocab_file}, {"cased": True}):
        with pytest.raises(UsageError, match=r"has a vocabulary of its own; leave --vocab and --cased out, which are"):
            run(tables, tmp_path / "run", pretrained, **options)
    assert not (tmp_path / "run").exists()


def test_a_label_of_the_validation_file_that_training_lacks(tmp_path, tables, pretrained):
    with open(tables["validation"], "a") as handle:
        handle.write("the end,maybe\n")
    with pytest.raises(DataError, match=r"dev\.csv:22: expected one of the labels seen in training \(no, yes\)\. "):
        run(tables, tmp_path / "run", pretrained)
    assert not (tmp_path / "run").exists()


def test_a_limit_that_leaves_one_label(tmp_path, tables, pretrained):
    with pytest.raises(DataError, match=r"expected at least two labels\. Received 'no' alone$"):
        run(tables, tmp_path / "run", pretrained, limit=1)


def test_a_model_that_is_none(tmp_path, tables):
    with pytest.raises(UsageError, match=r"^--model must be a preset \(tiny, .*\) or a model folder\. Received: "):
        run(tables, tmp_path / "run", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BundleError):
        run(tables, tmp_path / "run", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, r"^limit must be at least 1\. Received: limit=0$"),
        ({"epochs": 0}, r"^epochs must be above 0\. Received: epochs=0$"),
        ({"sequence_length": 33}, r"^sequence_length must be from 5 to the model's 32 positions\. "),
        ({"sequence_length": 4}, r"^sequence_length must be at least 5\. Received: sequence_length=4$"),
        ({"learning_rate": -1.0}, r"^learning_rate must be above 0\. "),
        ({"warmup_proportion": 2.0}, r"^warmup_"),
        ({"dropout": 1.0}, r"^dropout must be at least 0 and below 1\. "),
        ({"evaluate_every": 0}, r"^evaluate_every must be at least 1\. "),
        ({"accumulation": 3}, r"^batch_size must be a multiple of the replicas times the micro-batches\. "),
    ],
)
def test_options_that_cannot_be(tmp_path, tables, pretrained, options, message):
    with pytest.raises(KbertError, match=message):
        run(tables, tmp_path / "run", pretrained, **options)
    # The folder is not claimed: with the option put right, the same command runs.
    assert not (tmp_path / "run").exists()


# === What is chosen by itself ===


@pytest.mark.long
def test_the_learning_rate_and_the_epochs_are_chosen_and_told(tmp_path, cats_and_dogs, quick, told):
    settings = quick | {"learning_rate": None, "epochs": None, "batch_size": 24}
    finetune("classification", output=tmp_path / "run", **cats_and_dogs, **settings)
    assert (
        "learning rate 0.0005 (head 0.001), 20 epochs of 24 rows, 20 steps "
        "(by default: --learning-rate, for pretrained weights of width 16 and 1 layer; "
        "--epochs, for this number of rows)"
    ) in told()
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (run["derived"]["schedule"]["peak"], run["derived"]["steps"]) == (0.0005, 20)
    assert (run["options"]["learning_rate"], run["defaults"]["learning_rate"]) == (None, 0.0005)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["mcc", "loss"])
def test_another_metric_decides(tmp_path, cats_and_dogs, quick, metric):
    metrics = finetune("classification", output=tmp_path / "run", main_metric=metric, **cats_and_dogs, **quick)
    assert json.loads((tmp_path / "run" / "kbert.json").read_text())["main_metric"] == metric
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert metrics[metric] == (min if metric == "loss" else max)(
        row[f"validation_{metric}"] for row in rows if f"validation_{metric}" in row
    )


@pytest.mark.slow
def test_another_metric_is_another_run(tmp_path, cats_and_dogs, quick):
    finetune("classification", output=tmp_path / "run", main_metric="mcc", **cats_and_dogs, **quick)
    with pytest.raises(UsageError, match=r"was started with main_metric='mcc'\. Received: main_metric='accuracy'; "):
        finetune("classification", output=tmp_path / "run", resume=True, **cats_and_dogs, **quick)


def test_a_metric_that_the_task_lacks(tmp_path, cats_and_dogs, quick):
    with pytest.raises(UsageError, match=r"^main_metric must be one of accuracy, .*, loss\. Received: .*'f2'$"):
        finetune("classification", output=tmp_path / "run", main_metric="f2", **cats_and_dogs, **quick)


@pytest.mark.slow
def test_options_in_one_object(tmp_path, cats_and_dogs, quick):
    options = kbert.FinetuneOptions(output=tmp_path / "run", **cats_and_dogs, **quick)
    metrics = finetune("classification", options=options, text_column="text")
    assert finetune("classification", output=tmp_path / "again", **cats_and_dogs, **quick) == metrics
    with pytest.raises(UsageError, match=r"was started with seed=0\. Received: seed=1; resume with the same, or "):
        finetune("classification", options=options, seed=1, resume=True)
    message = r"was started with label_smoothing=0\.0\. Received: label_smoothing=0\.1; "
    with pytest.raises(UsageError, match=message) as error:
        finetune("classification", options=options, label_smoothing=0.1, resume=True)
    assert "Received: --label-smoothing 0.1; " in error.value.command_line_message
    with pytest.raises(UsageError, match=r"run was started with epochs=1\. Received: epochs=2; .* to train longer, "):
        finetune("classification", options=options, epochs=2, resume=True)


def test_unknown_and_missing_keywords(cats_and_dogs, quick):
    with pytest.raises(UsageError, match=r"^the task classification has no option 'txt_column'; did you mean text_col"):
        finetune("classification", output="run", txt_column="text", **cats_and_dogs, **quick)
    with pytest.raises(UsageError, match=r"^finetune needs model, train$"):
        finetune("classification", output="run")


def test_advice_about_a_loss_that_is_no_number(tmp_path, cats_and_dogs, quick):
    """It names options that fine-tuning has."""
    settings = quick | {"learning_rate": 1e30, "warmup_proportion": 0.0}
    message = (
        r"^the loss is nan at step \d; give a lower --learning-rate, or a larger --warmup-proportion; its examples: "
    )
    with pytest.raises(TrainingError, match=message):
        finetune("classification", output=tmp_path / "run", **cats_and_dogs, **settings)


@pytest.mark.long
def test_the_head_learns_at_a_rate_of_its_own(tmp_path, cats_and_dogs, quick):
    """With a rate of next to nothing for the encoder, only the head moves."""
    settings = quick | {"learning_rate": 1e-12, "head_learning_rate": 1e-2}
    finetune("classification", output=tmp_path / "run", **cats_and_dogs, **settings)
    before, after = Bundle.load(quick["model"]).tensors, Bundle.load(tmp_path / "run").tensors
    for name in ("bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.output.dense.weight"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-7)
    assert np.abs(after["bert.pooler.dense.weight"] - before["bert.pooler.dense.weight"]).max() > 1e-3
