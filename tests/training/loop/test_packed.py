"""Training on packed rows gives the same results as training on the same examples without packing."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.corpus.building.build import build_corpus
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.errors import UsageError
from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel
from kbert.training.loop.objectives import PretrainingObjective
from kbert.training.pretrain import pretrain


def model(config, packed):
    model = PretrainingModel(BertEncoder(config, packed=packed))
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


def losses_and_gradients(model, batch):
    """As the training loop computes them."""
    objective = PretrainingObjective()
    batch = {name: tf.constant(values) for name, values in batch.items()}
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss_sums = objective.loss_sums(model(batch, training=True), batch)
        loss_weights = objective.loss_weights(batch)
        metrics = {name: loss_sums[name] / loss_weights[name] for name in loss_sums}
        loss = metrics["mlm_loss"] + metrics["nsp_loss"]
    gradients = {
        variable.path: tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(model.trainable_variables, tape.gradient(loss, variables), strict=True)
    }
    return {name: float(value) for name, value in metrics.items()}, gradients


@pytest.mark.parametrize("masking", ["dynamic", "static"])
def test_losses_and_gradients_are_those_of_unpacked_examples(tmp_path, vocab_file, corpus_text, small_config, masking):
    """All examples of an epoch at once, with the same masks: equal to 1e-5."""
    folder = tmp_path / "varied"
    build_corpus(
        [corpus_text], vocab=vocab_file, output=folder, sequence_length=16, short_probability=0.7, masking=masking
    )
    plain = PretrainingBatches(folder, batch_size=1)
    plain = PretrainingBatches(folder, batch_size=plain.rows)
    packed = PretrainingBatches(folder, batch_size=1, pack_to=48)
    packed = PretrainingBatches(folder, batch_size=packed.rows, pack_to=48)
    assert packed.rows < plain.rows / 2
    config = small_config.replace(hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    one, other = next(plain.batches()), next(packed.batches())
    assert one["masked_lm_weights"].sum() == other["masked_lm_weights"].sum() > 40
    losses, gradients = losses_and_gradients(model(config, False), one)
    packed_losses, packed_gradients = losses_and_gradients(model(config, True), other)
    assert packed_losses == pytest.approx(losses, abs=1e-5)
    assert 0.3 < losses["nsp_loss"] < 5 < 20 * losses["mlm_loss"]
    assert gradients.keys() == packed_gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(packed_gradients[name], gradient, atol=1e-5, err_msg=name)
        assert np.abs(gradient).max() > 1e-4 or name.endswith("qkv/bias")


OPTIONS = {"batch_size": 2, "learning_rate": 1e-3, "pack_to": 40, "log_every": 2, "checkpoint_every": 4}


@pytest.mark.long
def test_pretraining_on_packed_rows(rows, tmp_path, corpus, pretrained, told):
    metrics = pretrain(corpus=corpus, model=pretrained, output=tmp_path / "run", steps=40, **OPTIONS)
    assert metrics["last"]["mlm_loss"] < metrics["first"]["mlm_loss"]
    fill_rate = PretrainingBatches(corpus, batch_size=2, pack_to=40).fill_rate
    assert f"at most 3 in one; fill rate {fill_rate:.2%}" in "\n".join(told())
    assert {row["fill_rate"] for row in rows(tmp_path / "run")} == {fill_rate}
    assert "packed into rows of 40" in (tmp_path / "run" / "README.md").read_text()


@pytest.mark.long
def test_the_bundle_of_a_packed_run_is_as_any_other(tmp_path, corpus, pretrained):
    import kbert

    pretrain(corpus=corpus, model=pretrained, output=tmp_path / "run", steps=2, show_progress=False, **OPTIONS)
    again = pretrain(corpus=corpus, model=tmp_path / "run", output=tmp_path / "more", steps=2, batch_size=4)
    assert again["last"]["loss"] > 0
    assert kbert.Bundle.load(tmp_path / "run").tensors.keys() == kbert.Bundle.load(pretrained).tensors.keys()


def test_what_cannot_be_packed(tmp_path, corpus, pretrained):
    with pytest.raises(UsageError, match=r"pack_to must be at least the corpus's sequence_length=16\. Received: 15"):
        pretrain(corpus=corpus, model=pretrained, output=tmp_path / "run", steps=2, **{**OPTIONS, "pack_to": 15})
    with pytest.raises(UsageError, match=r"at most the corpus's \d+ rows of packed examples\. Received: 28"):
        pretrain(corpus=corpus, model=pretrained, output=tmp_path / "run", steps=2, **{**OPTIONS, "batch_size": 28})
    assert not (tmp_path / "run").exists()


def test_positions_are_needed_for_examples_not_for_rows(tmp_path, corpus, pretrained):
    """The model has 32 positions, a row 40 places."""
    pretrain(corpus=corpus, model=pretrained, output=tmp_path / "run", steps=1, show_progress=False, **OPTIONS)
