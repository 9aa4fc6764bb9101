"""Private fine-tuning from end to end: what the folder of the run holds and what it does not, and resuming."""

import json
import shutil

import numpy as np
import pytest

import kbert
from kbert.errors import TrainingError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.provenance import verify
from kbert.privacy import accounting
from kbert.privacy.accounting import RENYI
from kbert.training.finetune import finetune
from kbert.training.private import plan as plan_module
from kbert.training.run_folder.checkpoints import read_arrays, read_header


@pytest.fixture(scope="module", autouse=True)
def renyi():
    """The figures do not depend on whether dp-accounting is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "best_accountant", lambda: RENYI)
        yield


@pytest.fixture
def private(cats_and_dogs, quick):
    """The options of a private run of four steps."""
    return {**cats_and_dogs, **quick, "private": 4.0, "draw_size": 12, "epochs": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory, pretrained):
    """A finished private run, and its metrics."""
    folder = tmp_path_factory.mktemp("private")
    words = ["fast", "slow", "on", "sat", "ran"]
    texts = [
        (f"the {a} {animal} {b} .", label) for a in words for b in words for animal, label in (("cat", 1), ("dog", 0))
    ]
    for name, part in (("train", texts), ("dev", texts[:20])):
        rows = "".join(f"{text}\t{label}\n" for text, label in part)
        (folder / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    metrics = finetune(
        "classification",
        model=pretrained,
        train=folder / "train.tsv",
        validation=folder / "dev.tsv",
        output=folder / "run",
        batch_size=8,
        sequence_length=16,
        private=4.0,
        draw_size=10,
        epochs=2,
        log_every=1,
        learning_rate=1e-2,
        show_progress=False,
    )
    return folder / "run", metrics


def test_the_guarantee_is_in_kbert_json_and_in_the_card(run):
    folder, _ = run
    privacy = Bundle.load(folder).settings["privacy"]
    assert privacy["steps"] == 10
    assert privacy["sampling_rate"] == 0.2
    assert privacy["clip"] == 3.0
    assert privacy["delta"] == pytest.approx(50**-1.1)
    assert privacy["accountant"] == "RDP"
    assert 3.95 < privacy["epsilon"] <= 4.0
    spent = accounting.epsilon(privacy["noise_multiplier"], 0.2, 10, privacy["delta"])
    assert privacy["epsilon"] == pytest.approx(spent)
    card = (folder / "README.md").read_text()
    assert "| Privacy | differential privacy of each training row: epsilon 4, delta 0.0135 (adding or" in card
    assert f"DP-SGD with noise {privacy['noise_multiplier']:.4g}, sampling rate 0.2, 10 steps, clip 3" in card
    assert "| Not private | the names of the labels, the vocabulary, " in card


def test_nothing_else_about_the_rows_is_in_the_folder(run):
    folder, _ = run
    assert not (folder / "worst_examples.json").exists()
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    measured = {name for row in rows for name in row if not name.startswith("validation_")}
    assert measured == {"step", "gradient_norm", "learning_rate", "seconds"}
    record = json.loads((folder / "run.json").read_text())
    assert "data" not in record["contents"]
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["data"]["train"] == [{"name": "train.tsv"}]
    assert "sha256" in provenance["data"]["validation"][0]
    assert set(verify(folder).values()) == {"intact"}
    state = read_header(folder / "checkpoints" / "step-00000010.safetensors")["state"]
    assert "loss" not in state["window"]
    assert set(state["losses"]) == {0.0}
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"the fast cat" not in path.read_bytes(), path


def test_tables_are_frozen_and_the_rest_is_trained(run, pretrained):
    before, after = Bundle.load(pretrained).tensors, Bundle.load(run[0]).tensors
    for name in before.keys() & after.keys():
        is_table = name.startswith("bert.embeddings.") and "LayerNorm" not in name
        assert np.array_equal(before[name], after[name]) == is_table, name


@pytest.mark.long
def test_the_same_seed_gives_other_noise_and_other_draws(tmp_path, private):
    weights = []
    for name in ("a", "b"):
        finetune("classification", output=tmp_path / name, seed=5, **private)
        weights.append(Bundle.load(tmp_path / name).tensors["bert.encoder.layer.0.output.dense.weight"])
    assert not np.allclose(*weights)


@pytest.mark.long
def test_what_is_told(tmp_path, private, caplog):
    caplog.set_level("INFO", "kbert")
    finetune("classification", output=tmp_path / "run", **private)
    told = [record.getMessage() for record in caplog.records if "private: " in record.getMessage()]
    assert told[0].startswith(
        "private: epsilon 4 with delta 0.0303 for each training row. Each of 4 steps draws 12 of 24 rows on average "
        "(rate 0.5), clips their gradients to 3, and adds noise of "
    )
    assert told[0].endswith(" times this norm (accountant RDP)")
    assert told[1].startswith("private: epsilon does not cover the names of the labels, ")
    assert len(told) == 2


@pytest.mark.parametrize("adapter", ["lora:r=2", "bitfit", "bottleneck:4"])
@pytest.mark.long
def test_adapters(tmp_path, private, adapter):
    finetune("classification", output=tmp_path / "run", adapter=adapter, **private)
    assert (tmp_path / "run" / "adapter").is_dir()
    assert Bundle.load(tmp_path / "run").settings["privacy"]["epsilon"] <= 4.0
    assert Bundle.load(tmp_path / "run" / "adapter").settings["privacy"]["epsilon"] <= 4.0


def cut(folder, step):
    """Cuts a run back to its checkpoint of a step, as if it had been killed later."""
    for path in (folder / "checkpoints").glob("step-*"):
        if int(path.stem[5:]) > step:
            path.unlink()
    (folder / "model.safetensors").unlink()


@pytest.mark.long
def test_a_resumed_run_has_the_same_guarantee(tmp_path, private):
    options = {**private, "checkpoint_every": 1, "evaluate_every": 1, "log_every": 1}
    finetune("classification", output=tmp_path / "run", **options)
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    before = Bundle.load(tmp_path / "run")
    cut(tmp_path / "again", 3)
    # The best weights are those of a step that was lost.
    path = tmp_path / "again" / "checkpoints" / "best.safetensors"
    arrays, header = read_arrays(path)
    from kbert.training.run_folder.checkpoints import write_arrays

    write_arrays(path, arrays, {**header, "step": 4, "metrics": {**header["metrics"], "accuracy": 2.0}})
    events = list((tmp_path / "again" / "tensorboard").iterdir())
    finetune("classification", output=tmp_path / "again", resume=True, **options)
    after = Bundle.load(tmp_path / "again")
    assert after.settings["privacy"] == before.settings["privacy"]
    assert after.settings["metrics"]["accuracy"] <= 1.0
    assert not any(event.exists() for event in events)
    rows = [json.loads(line)["step"] for line in (tmp_path / "again" / "metrics.jsonl").read_text().splitlines()]
    assert rows == [1, 2, 3, 4]
    last = [read_arrays(tmp_path / name / "checkpoints" / "step-00000004.safetensors")[0] for name in ("run", "again")]
    assert any(not np.array_equal(last[0][name], last[1][name]) for name in last[0])


@pytest.mark.long
def test_a_resumed_run_must_have_the_same_noise(tmp_path, private):
    finetune("classification", output=tmp_path / "run", **private)
    with pytest.raises(UsageError, match=r"was started with private=4\.0\. Received: private=8\.0; resume with the sa"):
        finetune("classification", output=tmp_path / "run", resume=True, **{**private, "private": 8.0})
    rows = private["train"].read_text().splitlines()
    private["train"].write_text("\n".join(rows[:-1]) + "\n")
    with pytest.raises(UsageError, match=r"was started with another (steps|schedule|privacy): "):
        finetune("classification", output=tmp_path / "run", resume=True, **private)


@pytest.mark.long
def test_early_stopping_spends_less(tmp_path, private):
    options = {**private, "epochs": 10, "evaluate_every": 1, "early_stopping": 1, "learning_rate": 1e-9}
    finetune("classification", output=tmp_path / "run", **options)
    privacy = Bundle.load(tmp_path / "run").settings["privacy"]
    assert privacy["steps"] < 20
    assert privacy["epsilon"] < 3.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta": 0.1}, r"^delta must be below 1 / 24 rows = 0\.0417, since publishing one .* Received: delta=0\.1$"),
        ({"draw_size": 25}, r"^draw_size must be at most the number of training rows, 24\. Received: draw_size=25$"),
        (
            {"class_weights": "balanced"},
            r"^balanced class weights count the training rows without noise; .* leave private out$",
        ),
    ],
)
def test_what_does_not_fit_the_rows(tmp_path, private, options, message):
    with pytest.raises(UsageError, match=message):
        finetune("classification", output=tmp_path / "run", **{**private, **options})
    assert not (tmp_path / "run").exists()


def test_losses_that_compare_rows_are_refused(tmp_path, private):
    for name in ("train", "validation"):
        private[name].write_text("text,pair\n" + "the cat,a cat\n" * 24)
    with pytest.raises(UsageError, match=r"^kbert trains models for embedding without privacy only, since its loss co"):
        finetune("embedding", output=tmp_path / "run", **private)


def test_examples_that_share_texts_are_refused(tmp_path, private):
    """Drawn wrong candidates are texts of other rows, so a row would count in several examples."""
    files = {
        "pairs.csv": "query,candidate\n" + "".join(f"the cat {n},a dog {n}\n" for n in range(24)),
        "pos.jsonl": "".join(json.dumps({"query": f"cat {n}", "pos": [f"dog {n}"]}) + "\n" for n in range(24)),
        "dialogues.jsonl": "".join(json.dumps({"turns": [f"cat {n}", f"dog {n}", "mat"]}) + "\n" for n in range(24)),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(
            UsageError,
            match=r"^private needs training examples with the texts of their own rows, .*\. Received: wrong candidates "
            r"that are drawn from other rows; give a file with the wrong candidates of each query, or leave private",
        ):
            finetune(
                "ranking",
                output=tmp_path / "run",
                **{**private, "train": tmp_path / name, "validation": tmp_path / name},
            )
    assert not (tmp_path / "run").exists()


def test_texts_with_several_rows_are_refused(tmp_path, private):
    roles = [{"start": 4, "end": 7, "role": "ARG0"}]
    private["train"] = private["validation"] = [
        {"text": "the cat sat", "predicates": [{"start": 8, "end": 11, "roles": roles}]}
    ] * 24
    with pytest.raises(
        UsageError,
        match=r"^kbert trains models for semantic-roles without privacy only, since a text is one training row, and "
        r"each of its predicates another; leave private out$",
    ):
        finetune("semantic-roles", output=tmp_path / "run", **private)


@pytest.mark.long
def test_texts_in_several_windows_are_refused(tmp_path, private):
    words = "the cat sat on the mat . " * 3
    rows = [{"id": f"{n}", "question": "the cat", "context": words, "answers": "mat"} for n in range(12)]
    with pytest.raises(UsageError, match=r"^private needs one training row for each example, .* 12 examples became 36"):
        finetune("question-answering", output=tmp_path / "run", **{**private, "train": rows, "validation": rows})


@pytest.mark.long
def test_crf_is_refused(tmp_path, private):
    for name in ("train", "validation"):
        private[name] = [{"words": ["the", "cat"], "tags": ["O", "B-P"]}] * 24
    with pytest.raises(TrainingError, match=r"does not compute for crf/start_transitions.*; leave out the option that"):
        finetune("tagging", output=tmp_path / "run", crf=True, **private)


@pytest.mark.long
def test_the_mean_of_a_regression_is_that_of_the_validation_rows(tmp_path, private):
    private["train"] = [
        {"text": f"the cat {word}", "label": 100 + n} for n, word in enumerate("sat ran on mat".split())
    ] * 6
    private["validation"] = [{"text": "the cat", "label": 1.0}, {"text": "the dog", "label": 3.0}]
    finetune("regression", output=tmp_path / "run", **private)
    settings = Bundle.load(tmp_path / "run").settings
    assert (settings["task"]["mean"], settings["task"]["deviation"]) == (2.0, 1.0)
    assert settings["baseline"]["answer"] == "always answers 2"


@pytest.mark.long
def test_it_learns_with_little_noise(tmp_path, cats_and_dogs, quick):
    options = {**quick, "epochs": 60, "draw_size": 12, "learning_rate": 3e-2, "dropout": 0.0, "evaluate_every": 120}
    metrics = kbert.finetune("classification", output=tmp_path / "run", private=1e4, **cats_and_dogs, **options)
    assert metrics["accuracy"] > 0.9
