import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.corpus.building.build import build_corpus
from kbert.errors import BundleError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.pretrained.loading import load_model
from kbert.text.tokenizer import Tokenizer
from kbert.training import evaluation as held_out
from kbert.training.evaluation import PretrainingEvaluation, ValidationCorpus, evaluate_pretraining
from kbert.training.loop.objectives import PretrainingObjective


@pytest.fixture
def tokenizer(vocabulary):
    return Tokenizer(vocabulary)


def joined(corpus, batch_size):
    batches = list(corpus.batches(batch_size))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}, batches


@pytest.mark.parametrize("block", [1, 3, 256])
def test_every_example_comes_once_whatever_the_batches(corpus, tokenizer, monkeypatch, block):
    monkeypatch.setattr(held_out, "_BLOCK", block)
    opened = ValidationCorpus(corpus, tokenizer)
    whole, _ = joined(opened, 1000)
    assert len(whole["input_word_ids"]) == opened.examples > 8
    for batch_size in (1, 4, opened.examples):
        again, batches = joined(opened, batch_size)
        assert {len(batch["input_mask"]) for batch in batches[:-1]} <= {batch_size}
        for name, values in whole.items():
            np.testing.assert_array_equal(again[name], values)


def test_no_example_comes_twice(corpus, tokenizer):
    opened = ValidationCorpus(corpus, tokenizer)
    examples, _ = joined(opened, 5)
    from kbert.corpus.reading.pipeline import PretrainingBatches

    epoch = next(PretrainingBatches(corpus, batch_size=opened.examples, seed=9).batches())

    def contents(batch):
        rows = zip(batch["input_word_ids"], batch["masked_lm_positions"], batch["masked_lm_ids"], strict=True)
        plain = []
        for ids, positions, originals in rows:
            ids = ids.copy()
            kept = originals > 0
            ids[positions[kept]] = originals[kept]
            plain.append(ids.tolist())
        return sorted(plain)

    assert contents(examples) == contents(epoch)


def test_the_batch_size_changes_nothing_beyond_rounding(corpus, pretrained):
    one, many = (evaluate_pretraining(pretrained, corpus, batch_size=size) for size in (1, 7))
    assert one == pytest.approx(many, rel=1e-5)


def test_measures_are_those_of_training(corpus, pretrained, tokenizer):
    """On one batch of all examples training computes the same means, but for its 1e-5 in the denominator."""
    model = load_model(pretrained)
    opened = ValidationCorpus(corpus, tokenizer)
    batch, _ = joined(opened, 1000)
    objective = PretrainingObjective()
    loss_sums = objective.loss_sums(model(batch, training=False), batch)
    loss_weights = objective.loss_weights(batch)
    metrics = PretrainingEvaluation(model, opened, 4)()
    for name, value in loss_sums.items():
        assert metrics[name] == pytest.approx(float(value / loss_weights[name]), rel=1e-4)
    assert metrics["loss"] == metrics["mlm_loss"] + metrics["nsp_loss"]
    assert metrics["perplexity"] == math.exp(metrics["mlm_loss"])


def test_a_model_without_pairs_is_measured_too(corpus, pretrained, tmp_path):
    bundle = Bundle.load(pretrained)
    bundle.architecture = "BertForMaskedLM"
    bundle.tensors = {
        name: tensor
        for name, tensor in bundle.tensors.items()
        if not name.startswith(("cls.seq_relationship", "bert.pooler"))
    }
    bundle.save(tmp_path / "mlm", "# A card\n")
    metrics = evaluate_pretraining(tmp_path / "mlm", corpus)
    assert sorted(metrics) == ["examples", "loss", "mlm_accuracy", "mlm_loss", "perplexity"]
    assert metrics["mlm_loss"] == pytest.approx(evaluate_pretraining(pretrained, corpus)["mlm_loss"], rel=1e-5)


def test_a_corpus_without_pairs_is_measured_without_them(corpus_text, vocab_file, pretrained, tmp_path):
    build_corpus([corpus_text], vocab=vocab_file, output=tmp_path / "whole", sequence_length=16, objective="none")
    metrics = evaluate_pretraining(pretrained, tmp_path / "whole")
    assert sorted(metrics) == ["examples", "loss", "mlm_accuracy", "mlm_loss", "perplexity"]
    assert metrics["loss"] == metrics["mlm_loss"]


def test_another_vocabulary_is_refused(corpus, vocabulary, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("".join(f"{token}\n" for token in [*vocabulary, "more"]))
    with pytest.raises(UsageError, match="must have the same vocabulary"):
        ValidationCorpus(corpus, Tokenizer(other))
    with pytest.raises(UsageError, match=r"with lowercase=False, .* made with lowercase=True, .* --vocab MODEL`$"):
        ValidationCorpus(corpus, Tokenizer(vocabulary, lowercase=False))


def test_long_examples_are_refused(corpus_text, vocab_file, pretrained, tmp_path):
    build_corpus([corpus_text], vocab=vocab_file, output=tmp_path / "long", sequence_length=64)
    with pytest.raises(UsageError, match="examples of 64 tokens, but the model has only 32 positions"):
        evaluate_pretraining(pretrained, tmp_path / "long")


def test_a_classifier_predicts_no_tokens(corpus, classifier):
    with pytest.raises(BundleError, match="BertForSequenceClassification; measure it with --data"):
        evaluate_pretraining(classifier, corpus)


def test_the_command(corpus, pretrained, classifier):
    done = CliRunner().invoke(main, ["evaluate", str(pretrained), "--corpus", str(corpus), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == pytest.approx(evaluate_pretraining(pretrained, corpus), rel=1e-5)
    shown = CliRunner().invoke(main, ["evaluate", str(pretrained), "--corpus", str(corpus)])
    assert "perplexity: " in shown.stdout
    for wrong in ([], ["--corpus", str(corpus), "--data", str(corpus / "manifest.json")]):
        refused = CliRunner().invoke(main, ["evaluate", str(classifier), *wrong])
        assert refused.exit_code == 2
        assert (
            "expected --data FILE for a fine-tuned model, or --corpus FOLDER for a pretrained one. Received: "
            in refused.stderr
        )
