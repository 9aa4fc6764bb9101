import json
import shutil

import numpy as np
import pytest

from kbert.corpus.building.build import build_corpus
from kbert.errors import BundleError, CheckpointError, RecordError, TrainingError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.options import OptionError
from kbert.text.vocabulary import Vocabulary
from kbert.training.pretrain import pretrain


def run(corpus, output, model, **options):
    defaults = {"steps": 4, "batch_size": 8, "learning_rate": 1e-3, "show_progress": False}
    return pretrain(corpus=corpus, output=output, model=model, **defaults | options)


@pytest.mark.long
def test_the_same_seed_gives_the_same_bytes(rows, tmp_path, corpus, pretrained):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(corpus, tmp_path / name, pretrained, seed=seed, steps=3)
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert weights["a"] == weights["b"]
    assert weights["a"] != weights["c"]
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


@pytest.mark.long
def test_a_text_is_learnt_by_heart(rows, tmp_path, vocab_file, pretrained):
    (tmp_path / "text.txt").write_text("\n\n".join(["The cat sat on a mat.\n" * 5] * 8))
    build_corpus([tmp_path / "text.txt"], vocab=vocab_file, output=tmp_path / "corpus", sequence_length=16)
    metrics = run(
        tmp_path / "corpus",
        tmp_path / "run",
        pretrained,
        steps=150,
        learning_rate=1e-2,
        dropout=0.0,
        bias_correction=True,
        log_every=50,
    )
    assert metrics["last"]["mlm_loss"] < metrics["first"]["mlm_loss"] / 2
    assert metrics["last"]["mlm_accuracy"] > 0.8
    read = rows(tmp_path / "run")
    assert [row.pop("step") for row in read] == [50, 100, 150]
    assert metrics == {"first": read[0], "last": read[-1]}


@pytest.mark.long
def test_the_first_losses_of_a_fresh_model_are_those_of_chance(tmp_path, corpus):
    metrics = run(corpus, tmp_path / "run", "tiny", steps=1)
    assert metrics["first"]["mlm_loss"] == pytest.approx(np.log(23), abs=0.15)
    assert metrics["first"]["nsp_loss"] == pytest.approx(np.log(2), abs=0.1)
    bundle = Bundle.load(tmp_path / "run")
    assert (bundle.config.num_hidden_layers, bundle.config.hidden_size) == (2, 128)
    assert bundle.config.vocab_size == 23


@pytest.mark.slow
def test_heads_that_begin_with_neighbours(tmp_path, corpus):
    for name in ("random", "positional"):
        run(corpus, tmp_path / name, "tiny", steps=1, learning_rate=1e-9, initialization=name)
    tables, values = (
        [Bundle.load(tmp_path / name).tensors[f"bert.{tensor}.weight"] for name in ("random", "positional")]
        for tensor in ("embeddings.position_embeddings", "encoder.layer.0.attention.self.value")
    )
    waves = tables[1][:, :64]
    # Sines and cosines of a wave: together of one height at all positions.
    heights = np.hypot(waves[:, :32], waves[:, 32:])
    np.testing.assert_allclose(heights, heights[0, 0], rtol=1e-4)
    np.testing.assert_allclose(tables[0][:, 64:], tables[1][:, 64:], atol=1e-7)
    np.testing.assert_allclose(*values, atol=1e-7)


@pytest.mark.long
def test_the_folder_is_a_bundle_that_can_be_gone_on_from(tmp_path, corpus, pretrained, vocabulary):
    run(corpus, tmp_path / "run", pretrained)
    bundle = Bundle.load(tmp_path / "run")
    assert bundle.architecture == "BertForPreTraining"
    assert bundle.tokenizer.vocabulary == vocabulary
    assert bundle.settings["kind"] == "pretraining"
    assert bundle.settings["steps"] == 4
    assert bundle.tensors.keys() == Bundle.load(pretrained).tensors.keys()
    assert "4 steps of 8 examples" in (tmp_path / "run" / "README.md").read_text()
    # A step so short that nothing moves leaves all weights as they were, heads too.
    run(corpus, tmp_path / "next", tmp_path / "run", steps=1, learning_rate=1e-12)
    for name, tensor in Bundle.load(tmp_path / "next").tensors.items():
        np.testing.assert_allclose(tensor, bundle.tensors[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("objective", "learnt"),
    [("none", "masked language model"), ("sop", "masked language model and sentence order prediction")],
)
@pytest.mark.long
def test_other_objectives_are_said_and_shown(tmp_path, corpus_text, vocab_file, pretrained, objective, learnt):
    build_corpus([corpus_text], vocab=vocab_file, output=tmp_path / "corpus", sequence_length=16, objective=objective)
    metrics = run(tmp_path / "corpus", tmp_path / "run", pretrained, steps=1)
    assert ("nsp_loss" in metrics["last"], "nsp_accuracy" in metrics["last"]) == (objective == "sop",) * 2
    assert f"| Objective | {learnt} |" in (tmp_path / "run" / "README.md").read_text()


def test_rematerialization_is_noted_and_may_be_changed(tmp_path, corpus, pretrained):
    run(corpus, tmp_path / "run", pretrained, steps=1, remat=True)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["remat"] is True
    run(corpus, tmp_path / "run", pretrained, steps=1, resume=True)


@pytest.mark.long
def test_resumed_after_its_end_it_is_as_it_was(tmp_path, corpus, pretrained):
    metrics = run(corpus, tmp_path / "run", pretrained)
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert run(corpus, tmp_path / "run", pretrained, resume=True) == metrics
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


@pytest.mark.long
def test_resumed_from_a_damaged_checkpoint(rows, tmp_path, corpus, pretrained, told):
    run(corpus, tmp_path / "run", pretrained, steps=6, checkpoint_every=3, log_every=1)
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    expected = rows(tmp_path / "run")
    last, first = sorted((tmp_path / "run" / "checkpoints").iterdir(), reverse=True)
    last.write_bytes(last.read_bytes()[:-1])
    options = {"steps": 6, "checkpoint_every": 3, "log_every": 1, "resume": True}
    run(corpus, tmp_path / "run", pretrained, **options)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    assert rows(tmp_path / "run") == expected
    assert [message.startswith("the checkpoint ") for message in told()] == [True]
    last.write_bytes(b"")
    first.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"^all 2 checkpoints in "):
        run(corpus, tmp_path / "run", pretrained, **options)


@pytest.mark.slow
def test_compiled_it_learns_the_same_and_resumes_to_the_same_bytes(rows, tmp_path, corpus, pretrained):
    options = {"steps": 4, "checkpoint_every": 2, "log_every": 1}
    for name, jit in (("plain", "off"), ("compiled", "on")):
        run(corpus, tmp_path / name, pretrained, jit=jit, dropout=0.0, **options)
    for plain, compiled in zip(rows(tmp_path / "plain"), rows(tmp_path / "compiled"), strict=True):
        assert compiled == pytest.approx(plain, rel=1e-4)

    run(corpus, tmp_path / "run", pretrained, jit="on", **options)  # with dropout
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    expected = rows(tmp_path / "run")
    max((tmp_path / "run" / "checkpoints").iterdir()).unlink()
    run(corpus, tmp_path / "run", pretrained, jit="on", resume=True, **options)
    assert rows(tmp_path / "run") == expected
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


@pytest.mark.long
def test_accumulation_equals_the_whole_batch(rows, tmp_path, corpus, pretrained):
    options = {"steps": 5, "dropout": 0.0, "log_every": 1, "warmup_steps": 0}
    for name, accumulation in (("whole", 1), ("parts", 4)):
        run(corpus, tmp_path / name, pretrained, accumulation=accumulation, **options)
    for whole, parts in zip(rows(tmp_path / "whole"), rows(tmp_path / "parts"), strict=True):
        assert parts == pytest.approx(whole, rel=1e-4)


@pytest.mark.long
def test_bfloat16_is_near_float32(tmp_path, corpus, pretrained):
    exact, rounded = (
        run(corpus, tmp_path / precision, pretrained, precision=precision, dropout=0.0)["last"]
        for precision in ("float32", "bfloat16")
    )
    assert rounded["loss"] == pytest.approx(exact["loss"], rel=0.02)
    assert rounded["loss"] != exact["loss"]


@pytest.mark.long
def test_dropout_of_the_run(tmp_path, corpus, pretrained):
    losses = [
        run(corpus, tmp_path / str(dropout), pretrained, steps=1, dropout=dropout)["first"]["mlm_loss"]
        for dropout in (0.0, 0.5)
    ]
    assert abs(losses[0] - losses[1]) > 1e-3
    assert Bundle.load(tmp_path / "0.0").config.hidden_dropout_prob == 0.0


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, corpus, pretrained):
    with pytest.raises(TrainingError, match=r"^the loss is (nan|inf) at step [2-5]; lower the learning rate or "):
        run(corpus, tmp_path / "run", pretrained, steps=6, learning_rate=1e30, warmup_steps=0)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_another_vocabulary(tmp_path, corpus_text, vocabulary, pretrained):
    Vocabulary([*vocabulary, "more"]).save(tmp_path / "other.txt")
    build_corpus([corpus_text], vocab=tmp_path / "other.txt", output=tmp_path / "other", sequence_length=16)
    with pytest.raises(
        BundleError,
        match=r"^the corpus must have the vocabulary of .* build it with `kbert corpus build --vocab",
    ):
        run(tmp_path / "other", tmp_path / "run", pretrained)
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_new_parts_are_told(tmp_path, corpus, pretrained, told):
    bundle = Bundle.load(pretrained)
    bundle.tensors = {name: tensor for name, tensor in bundle.tensors.items() if name.startswith("bert.e")}
    bundle.architecture = "BertModel"
    bundle.save(tmp_path / "encoder", "card")
    run(corpus, tmp_path / "run", tmp_path / "encoder", steps=1)
    assert told() == ["new weights: pooler; masked-language-model head; next-sentence head"]
    run(corpus, tmp_path / "again", tmp_path / "run", steps=1)
    assert len(told()) == 1


def test_an_untied_decoder_is_told(tmp_path, corpus, pretrained, told):
    bundle = Bundle.load(pretrained)
    table = bundle.tensors["bert.embeddings.word_embeddings.weight"]
    bundle.tensors["cls.predictions.decoder.weight"] = table + 1
    bundle.save(tmp_path / "untied", "card")
    run(corpus, tmp_path / "run", tmp_path / "untied", steps=1)
    assert told()[0].startswith("new weights: decoder of the masked-language-model head (the model's own is")


def test_a_folder_of_another_run(tmp_path, corpus, pretrained):
    run(corpus, tmp_path / "run", pretrained, steps=1)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"holds a run; add --resume"):
        run(corpus, tmp_path / "run", pretrained, steps=1)
    with pytest.raises(UsageError, match=r"was started with seed=0\. Received: seed=1; "):
        run(corpus, tmp_path / "run", pretrained, steps=1, seed=1, resume=True)
    with pytest.raises(OptionError, match=r"was started with batch_size=8\. Received: batch_size=4; ") as error:
        run(corpus, tmp_path / "run", pretrained, steps=1, batch_size=4, resume=True)
    assert "was started with --batch-size 8. Received: --batch-size 4; " in error.value.command_line_message
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_finished_run_is_lengthened_if_its_learning_rate_is_constant(rows, tmp_path, corpus, pretrained):
    """It ends as a run that had these steps from the start; the warm-up stays that of before."""
    options = {"schedule": "constant", "log_every": 1}
    run(corpus, tmp_path / "run", pretrained, steps=10, **options)
    run(corpus, tmp_path / "run", pretrained, steps=20, resume=True, **options)
    run(corpus, tmp_path / "whole", pretrained, steps=20, warmup_steps=1, **options)
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert weights[0] == weights[1]
    with pytest.raises(OptionError, match=r"was started with steps=20\. Received: steps=10; "):
        run(corpus, tmp_path / "run", pretrained, steps=10, resume=True, **options)


def test_a_run_whose_learning_rate_falls_to_0_is_not_lengthened(tmp_path, corpus, pretrained):
    run(corpus, tmp_path / "run", pretrained, steps=1)
    message = (
        r"run was started with steps=1, at the end of which its linear schedule is at a learning rate of 0\. "
        r"Received: steps=2; to train longer, start another run from the finished one with model='\S+run' and another "
        r"output \(only schedule='constant' can go on\)$"
    )
    with pytest.raises(OptionError, match=message):
        run(corpus, tmp_path / "run", pretrained, steps=2, resume=True)


def test_the_same_model_in_another_place_is_the_same(tmp_path, corpus, pretrained):
    run(corpus, tmp_path / "run", pretrained, steps=1)
    run(corpus, tmp_path / "run", f"{pretrained}/", steps=1, resume=True)
    shutil.copytree(pretrained, tmp_path / "moved")
    run(corpus, tmp_path / "run", tmp_path / "moved", steps=1, resume=True)
    bundle = Bundle.load(pretrained)
    bundle.tensors["bert.pooler.dense.bias"] = bundle.tensors["bert.pooler.dense.bias"] + 1
    bundle.save(tmp_path / "other", "card")
    with pytest.raises(OptionError, match=r"was started with model='.*'\. Received: model='.*other', which differs; "):
        run(corpus, tmp_path / "run", tmp_path / "other", steps=1, resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "huge"}, r"^--model must be a preset \(tiny, .*\) or a model folder\. Received: huge$"),
        (
            {"precision": "float8"},
            r"^precision must be one of float32, bfloat16, float16\. Received: precision='float8'$",
        ),
        (
            {"strategy": "two"},
            r"^strategy must be one of auto, one, mirrored, multi-worker, tpu\. Received: strategy='two'$",
        ),
        ({"strategy": "mirrored"}, r"^mirrored training needs at least two devices\. Received: only /device:CPU:0$"),
        ({"accumulation": 3}, r"^batch_size must be a multiple of the replicas times the micro-batches\. "),
        ({"batch_size": 0}, r"^batch_size must be at least 1\. Received: batch_size=0$"),
        ({"dropout": 1.0}, r"^dropout must be at least 0 and below 1\. Received: dropout=1\.0$"),
        ({"initializer_range": 0.0}, r"^initializer_range must be above 0\. Received: initializer_range=0\.0$"),
        (
            {"initialization": "positional"},
            r"^\S+ has weights of its own; leave --initialization out, which is for presets$",
        ),
        (
            {"model": "tiny", "initialization": "zeros"},
            r"^initialization must be one of random, positional\. Received: initialization='zeros'$",
        ),
        ({"steps": 0}, r"^steps must be at least 1\. Received: steps=0$"),
        ({"log_every": 0}, r"^log_every must be at least 1\. Received: log_every=0$"),
        ({"batch_size": 1000}, r"^batch_size must be at most the corpus's \d+ examples\. Received: 1000$"),
        ({"warmup_steps": 5}, r"^warmup_steps must be at most the 4 steps\. Received: warmup_steps=5$"),
    ],
)
def test_options_that_cannot_be(tmp_path, corpus, pretrained, options, message):
    with pytest.raises(UsageError, match=message):
        run(corpus, tmp_path / "run", options.pop("model", pretrained), **options)
    # The folder is not claimed: with the option put right, the same command runs.
    assert not (tmp_path / "run").exists()


def test_examples_longer_than_the_model(tmp_path, corpus_text, vocab_file, pretrained):
    build_corpus([corpus_text], vocab=vocab_file, output=tmp_path / "long", sequence_length=64)
    with pytest.raises(
        UsageError, match=r"^the corpus has examples of 64 tokens, but the model has only 32 positions; "
    ):
        run(tmp_path / "long", tmp_path / "run", pretrained)


def test_a_damaged_shard_stops_the_run_with_its_own_words(tmp_path, corpus):
    shard = corpus / "examples-00000.tfrecord.gz"
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(RecordError, match=r"examples-00000\.tfrecord\.gz: "):
        pretrain(corpus=corpus, model="tiny", output=tmp_path / "run", steps=1, batch_size=4, show_progress=False)


# === Phases ===


@pytest.fixture
def long_corpus(tmp_path, corpus_text, vocab_file):
    return build(tmp_path / "long", corpus_text, vocab_file, 24)


def build(folder, text, vocab, length):
    build_corpus([text], vocab=vocab, output=folder, sequence_length=length)
    return folder


@pytest.mark.long
def test_two_phases_are_one_run(rows, tmp_path, corpus, long_corpus, pretrained):
    options = {"steps": None, "phases": [(16, 3), (24, 3)], "log_every": 1, "checkpoint_every": 5}
    run([corpus, long_corpus], tmp_path / "run", pretrained, **options)
    read = rows(tmp_path / "run")
    assert [row["step"] for row in read] == [1, 2, 3, 4, 5, 6]
    # One course of the learning rate, without a warm-up of so few steps.
    assert [row["learning_rate"] for row in read] == pytest.approx([1e-3 * left / 6 for left in range(6, 0, -1)])
    alone = run(corpus, tmp_path / "alone", pretrained, steps=6, log_every=1)
    assert rows(tmp_path / "alone")[:3] == read[:3]
    assert rows(tmp_path / "alone")[3] != read[3]
    assert alone["last"]["loss"] != read[-1]["loss"]
    # From inside the second phase.
    (tmp_path / "run/checkpoints/step-00000006.safetensors").unlink()
    before = (tmp_path / "run/model.safetensors").read_bytes()
    run([corpus, long_corpus], tmp_path / "run", pretrained, resume=True, **options)
    assert (tmp_path / "run/model.safetensors").read_bytes() == before
    assert rows(tmp_path / "run") == read


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"steps": 4, "phases": [(16, 3)]},
            r"^give either steps or phases\. Received: steps=4, phases=\[\[16, 3\]\]$",
        ),
        ({"steps": None}, r"^give either steps or phases\. Received: steps=None, phases=\[\]$"),
        (
            {"steps": None, "phases": [(16, 3), (16, 3)]},
            r"^each phase needs a --corpus\. Received: 2 phases, ",
        ),
        (
            {"steps": None, "phases": [(32, 3)]},
            r"^a phase must be the sequence length of its corpus .* as 16:1000 .*: 32:3$",
        ),
    ],
)
def test_phases_that_cannot_be(tmp_path, corpus, pretrained, options, message):
    with pytest.raises(UsageError, match=message):
        run(corpus, tmp_path / "run", pretrained, **options)
    assert not (tmp_path / "run").exists()
