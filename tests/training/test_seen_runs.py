"""The outputs of runs for observers, end to end: they exist, and they do not change the training."""

import json

import pytest

from kbert.corpus.building.build import build_corpus
from kbert.errors import UsageError
from kbert.training.evaluation import evaluate_pretraining
from kbert.training.monitoring.throughput import TIMINGS
from kbert.training.pretrain import pretrain
from kbert.training.run_folder.checkpoints import Checkpoints, read_header


def run(corpus, model, folder, **options):
    settings = {"steps": 6, "batch_size": 4, "log_every": 2, "checkpoint_every": 3, "learning_rate": 1e-2}
    pretrain(corpus=corpus, model=model, output=folder, show_progress=False, **{**settings, **options})
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMINGS} for row in rows]


@pytest.fixture
def validation(tmp_path, vocab_file, corpus_text):
    folder = tmp_path / "validation"
    build_corpus([corpus_text], vocab=vocab_file, output=folder, sequence_length=16, seed=3)
    return folder


@pytest.mark.long
def test_looking_changes_no_weight(corpus, pretrained, validation, tmp_path):
    plain = run(corpus, pretrained, tmp_path / "plain")
    seen = run(
        corpus, pretrained, tmp_path / "seen", validation_corpus=validation, evaluate_every=3, samples_every=4,
        histograms_every=5, profile=(1, 2), projector=True,
    )  # fmt: skip
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "seen")]
    assert weights[0] == weights[1]
    assert [row["step"] for row in plain] == [2, 4, 6]
    assert [row["step"] for row in seen] == [2, 3, 4, 6]
    assert [row["step"] for row in seen if "validation_loss" in row] == [3, 6]
    assert plain[0] == seen[0]


@pytest.mark.long
def test_what_is_asked_for_is_there(corpus, pretrained, tmp_path):
    run(corpus, pretrained, tmp_path / "run", samples_every=3, projector=True)
    samples = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert [row["step"] for row in samples] == [0, 3, 6]
    assert len(samples[0]["samples"]) == 3
    assert any(isinstance(word, dict) for word in samples[0]["samples"][0])
    assert (tmp_path / "run" / "tensorboard" / "projector_config.pbtxt").is_file()
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["matrix_peak_flops"] > 0
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert set(TIMINGS) <= set(row)


@pytest.mark.long
def test_the_best_checkpoint_is_that_of_the_lowest_held_out_loss(corpus, pretrained, validation, tmp_path):
    rows = run(corpus, pretrained, tmp_path / "run", validation_corpus=validation, keep_checkpoints=9)
    losses = {row["step"]: row["validation_loss"] for row in rows if "validation_loss" in row}
    assert sorted(losses) == [3, 6]
    folder = tmp_path / "run" / "checkpoints"
    scores = {step: read_header(folder / f"step-{step:08d}.safetensors")["score"] for step in losses}
    assert scores == losses
    assert Checkpoints(folder).best() == min(losses, key=losses.get)


@pytest.mark.long
def test_the_last_evaluation_is_that_of_the_model(corpus, pretrained, validation, tmp_path):
    last = run(corpus, pretrained, tmp_path / "run", validation_corpus=validation, evaluate_every=100)[-1]
    metrics = evaluate_pretraining(tmp_path / "run", validation)
    for name in ("loss", "mlm_accuracy", "perplexity", "nsp_loss"):
        assert last[f"validation_{name}"] == pytest.approx(metrics[name], rel=1e-5)


@pytest.mark.long
def test_packed_training_is_measured_on_plain_rows(corpus, pretrained, validation, tmp_path):
    options = {"validation_corpus": validation, "samples_every": 6, "pack_to": 32, "batch_size": 2}
    last = run(corpus, pretrained, tmp_path / "run", **options)[-1]
    metrics = evaluate_pretraining(tmp_path / "run", validation)
    for name in ("mlm_loss", "nsp_loss"):
        assert last[f"validation_{name}"] == pytest.approx(metrics[name], rel=1e-4)


@pytest.mark.slow
def test_a_resumed_run_has_the_same_rows(corpus, pretrained, validation, tmp_path):
    options = {"validation_corpus": validation, "evaluate_every": 2, "samples_every": 2}
    whole = run(corpus, pretrained, tmp_path / "whole", **options)
    folder = tmp_path / "stopped"
    run(corpus, pretrained, folder, **options)
    (folder / "checkpoints" / "step-00000006.safetensors").unlink()
    assert run(corpus, pretrained, folder, resume=True, **options) == whole
    samples = [(tmp_path / name / "samples.jsonl").read_text() for name in ("whole", "stopped")]
    assert samples[0] == samples[1]


def test_options_that_do_not_fit(corpus, pretrained, tmp_path):
    with pytest.raises(UsageError, match=r"^evaluate_every needs validation_corpus"):
        run(corpus, pretrained, tmp_path / "run", evaluate_every=2)
    with pytest.raises(UsageError, match="START < STOP"):
        run(corpus, pretrained, tmp_path / "run", profile=(3, 3))
    with pytest.raises(UsageError, match="at least 1"):
        run(corpus, pretrained, tmp_path / "run", samples_every=0)
    assert not (tmp_path / "run").exists()
