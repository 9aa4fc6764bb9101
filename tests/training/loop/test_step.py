"""One training step of a tiny model: options for speed or memory do not change the numbers."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel
from kbert.training.loop.loss_scale import LossScale
from kbert.training.loop.objectives import PretrainingObjective
from kbert.training.loop.step import TrainingStep
from kbert.training.optimizers.registry import make_optimizer
from kbert.training.optimizers.settings import OptimizerSettings

BATCH = {
    "input_word_ids": np.arange(8 * 6).reshape(8, 6) % 18 + 5,
    "input_mask": np.ones((8, 6)),
    "input_type_ids": np.zeros((8, 6)),
    "masked_lm_positions": np.tile([1, 3], (8, 1)),
    "masked_lm_ids": np.arange(16).reshape(8, 2) + 5,
    "next_sentence_labels": np.arange(8) % 2,
}


def train(
    config,
    *,
    steps=2,
    precision="float32",
    remat=False,
    jit=False,
    skip_padding=False,
    accumulation=1,
    scale=None,
    rate=0.1,
    batch=BATCH,
):
    """The metrics of some steps, and the weights after them."""
    encoder = BertEncoder(config, precision=precision, remat=remat, skip_padding=skip_padding, seed=3)
    model = PretrainingModel(encoder)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    loss_scale = LossScale(precision == "float16")
    if scale is not None:
        loss_scale.slots["loss_scale/scale"].assign(scale)
    step = TrainingStep(
        model,
        objective=PretrainingObjective(),
        optimizer=make_optimizer(model.trainable_variables, OptimizerSettings("sgd", weight_decay=0.0)),
        loss_scale=loss_scale,
        accumulation=accumulation,
        strategy=strategy,
        jit=jit,
    )
    weights = tf.constant(batch.get("masked_lm_weights", np.ones((8, 2))), tf.float32)
    batch = {name: tf.constant(values, tf.int32) for name, values in batch.items()} | {"masked_lm_weights": weights}
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread is slow to end
    dataset = dataset.with_options(options)
    iterator = iter(dataset)
    metrics = step.function(iterator, dataset.element_spec)(iterator, tf.constant(0, tf.int64), tf.fill([steps], rate))
    weights = [variable.numpy() for variable in model.trainable_variables]
    return {name: values.numpy() for name, values in metrics.items()}, weights, loss_scale


@pytest.fixture(scope="module")
def with_dropout(small_config):
    return small_config.replace(initializer_range=0.2, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)


@pytest.fixture(scope="module")
def plain(with_dropout):
    return train(with_dropout)


@pytest.mark.long
def test_rematerialization_changes_nothing_but_rounding(with_dropout, plain):
    """With dropout: the second time the same masks must be drawn."""
    metrics, weights, _ = train(with_dropout, remat=True)
    for name, values in metrics.items():
        np.testing.assert_allclose(values, plain[0][name], rtol=1e-6)
    for weight, expected in zip(weights, plain[1], strict=True):
        np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6)


@pytest.mark.long
def test_steps_and_parts_draw_their_own_masks(with_dropout, plain):
    still = train(with_dropout, rate=0.0)[0]["loss"]
    assert still[0] == plain[0]["loss"][0]
    assert still[0] != still[1]
    assert train(with_dropout, accumulation=2, rate=0.0)[0]["loss"][0] != still[0]
    without = with_dropout.replace(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    losses = train(without, rate=0.0)[0]["loss"]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_compiled_it_learns_the_same(with_dropout):
    without = with_dropout.replace(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    expected = train(without, accumulation=2)[0]
    for name, values in train(without, accumulation=2, jit=True)[0].items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4)


@pytest.fixture
def float16():
    from kbert.errors import TrainingError
    from kbert.training.devices.precision import prepare_precision

    try:
        prepare_precision("float16")
    except TrainingError as problem:
        pytest.skip(str(problem))


@pytest.mark.usefixtures("float16")
@pytest.mark.long
def test_float16_with_a_scaled_loss_is_near_float32(with_dropout):
    without = with_dropout.replace(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    expected, half = train(without)[0], train(without, precision="float16")[0]
    for name in ("loss", "gradient_norm"):
        np.testing.assert_allclose(half[name], expected[name], rtol=0.02)
        assert np.any(half[name] != expected[name])


@pytest.mark.usefixtures("float16")
@pytest.mark.long
def test_a_step_that_overflows_is_left_out_and_halves_the_scale(with_dropout):
    metrics, weights, scale = train(with_dropout, steps=1, precision="float16", scale=2.0**100)
    assert metrics["gradient_norm"][0] == 0
    fresh = train(with_dropout, steps=1, precision="float16", rate=0.0)[1]
    for weight, expected in zip(weights, fresh, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert float(scale.slots["loss_scale/scale"]) == 2.0**99


def test_the_scale_grows_after_many_good_steps():
    scale = LossScale(True)
    assert float(scale.scale(tf.constant(2.0))) == 2.0**16
    scale.slots["loss_scale/good_steps"].assign(1999.0)
    scale.update(tf.constant(True))
    assert float(scale.slots["loss_scale/scale"]) == 2.0**16
    assert float(scale.slots["loss_scale/good_steps"]) == 0.0
    assert float(scale.unscale([tf.constant(2.0**17)])[0]) == 2.0


PADDED = BATCH | {
    "input_mask": np.arange(6) < np.array([6, 2, 4, 6, 5, 3, 2, 4])[:, None],
    "masked_lm_weights": np.arange(2) < np.array([2, 1, 2, 0, 1, 1, 1, 2])[:, None],
}


@pytest.mark.long
@pytest.mark.parametrize(("remat", "accumulation"), [(False, 1), (True, 1), (False, 2)])
def test_skipping_padding_changes_no_number(small_config, remat, accumulation):
    """Tokens and predictions that only fill up are left out; without dropout, whose masks have other shapes."""
    config = small_config.replace(initializer_range=0.2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    metrics, weights, _ = train(config, batch=PADDED)
    found, found_weights, _ = train(config, batch=PADDED, skip_padding=True, remat=remat, accumulation=accumulation)
    for name, values in metrics.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)
    for one, other in zip(weights, found_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.long
def test_masks_of_dropout_are_drawn_again_where_padding_is_skipped(with_dropout):
    metrics, weights, _ = train(with_dropout, batch=PADDED, skip_padding=True)
    again, weights_again, _ = train(with_dropout, batch=PADDED, skip_padding=True, remat=True)
    for name, values in metrics.items():
        np.testing.assert_allclose(again[name], values, rtol=1e-6)
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6)
