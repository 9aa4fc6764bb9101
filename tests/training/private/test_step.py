"""Private steps: what is added up, the noise, and what they tell."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.models.encoder import BertEncoder
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows
from kbert.training.loop.loss_scale import LossScale
from kbert.training.optimizers.frozen_layers import freeze_tables
from kbert.training.optimizers.registry import make_optimizer
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.private.batches import PoissonBatches
from kbert.training.private.gradients import clipped_gradients
from kbert.training.private.step import PrivateStep

TASK = ClassificationTask(["a", "b", "c"])
CLIP = 0.3


def rows(count):
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 8, count)
    ids = Ragged(rng.integers(5, 20, lengths.sum()).astype(np.int32), lengths)
    labels = rng.integers(0, 3, count).astype(np.int32)
    return TrainingRows(ids, Ragged(ids.values * 0, lengths), {"labels": labels})


def train(config, *, noise_multiplier, count=20, expected=20, steps=1, dropout=0.0, generator=None, **settings):
    """Returns the changes of the weights in steps of plain gradient descent with the rate 1, and the metrics."""
    config = config.replace(
        initializer_range=0.3, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, num_hidden_layers=1
    )
    model = TASK.build(BertEncoder(config, skip_padding=True, seed=3))
    freeze_tables(model.encoder)
    step = PrivateStep(
        model,
        objective=TASK,
        optimizer=make_optimizer(model.trainable_variables, OptimizerSettings("sgd", weight_decay=0.0)),
        loss_scale=LossScale(False),
        accumulation=1,
        strategy=tf.distribute.OneDeviceStrategy("/cpu:0"),
        jit=False,
        clip=CLIP,
        noise_multiplier=noise_multiplier,
        expected=expected,
        noise=generator,
    )
    source = PoissonBatches(
        rows(count), expected=min(expected, count), batch_size=8, steps=steps, sequence_length=16, **settings
    )
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread is slow to end
    dataset = tf.data.Dataset.from_generator(source.batches, output_signature=source.element_spec).with_options(options)
    iterator = iter(dataset)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    run = step.function(iterator, source.element_spec)
    metrics = run(iterator, tf.constant(0, tf.int64), tf.ones([steps]))
    changes = {variable.path: variable.numpy() - before[variable.path] for variable in model.trainable_variables}
    return changes, {name: values.numpy() for name, values in metrics.items()}, model


@pytest.mark.long
def test_without_noise_it_is_the_mean_of_clipped_gradients(small_config):
    """All 20 rows are drawn, in three batches."""
    changes, metrics, _ = train(small_config, noise_multiplier=0.0)
    _, _, model = train(small_config, noise_multiplier=0.0, steps=0)
    source = PoissonBatches(rows(20), expected=20, batch_size=20, steps=1, sequence_length=16)
    (batch,) = source.batches()
    counted = tf.constant(batch.pop("counted"))
    del batch["step_end"]
    batch = {name: tf.constant(values) for name, values in batch.items()}
    sums = clipped_gradients(model, TASK, batch, counted, CLIP)
    for path, change in changes.items():
        np.testing.assert_allclose(change, -sums[path] / 20, atol=1e-6, err_msg=path)
    norm = np.sqrt(sum(np.sum(np.square(change)) for change in changes.values()))
    assert metrics == {"gradient_norm": pytest.approx([norm], rel=1e-4)}
    assert norm <= CLIP * 1.0001


def test_an_empty_draw_has_noise_of_the_right_size(small_config):
    changes, _, _ = train(small_config, noise_multiplier=2.0, expected=5, draws=_Never())
    values = np.concatenate([change.ravel() for change in changes.values()])
    assert values.std() == pytest.approx(2.0 * CLIP / 5, rel=0.05)
    assert abs(values.mean()) < 0.01
    assert len(np.unique(values)) > 0.99 * len(values)


class _Never:
    """Draws no row."""

    def random(self, size):
        return np.ones(size)


@pytest.mark.long
def test_noise_is_secret_and_differs_in_each_step(small_config):
    first, second = (train(small_config, noise_multiplier=1.0, draws=_Never())[0] for _ in range(2))
    assert not np.allclose(first["head/dense/kernel"], second["head/dense/kernel"])
    _, metrics, _ = train(small_config, noise_multiplier=1.0, steps=3, draws=_Never())
    assert len(set(metrics["gradient_norm"].tolist())) == 3


def test_losses_are_not_returned(small_config):
    _, metrics, _ = train(small_config, noise_multiplier=1.0)
    assert metrics.keys() == {"gradient_norm"}


@pytest.mark.long
def test_batches_of_a_step_draw_their_own_dropout(small_config):
    """With dropout, the sums of two equal batches differ."""
    with_dropout, _, _ = train(small_config, noise_multiplier=0.0, dropout=0.3)
    again, _, _ = train(small_config, noise_multiplier=0.0, dropout=0.3)
    without, _, _ = train(small_config, noise_multiplier=0.0)
    for path, change in with_dropout.items():
        np.testing.assert_allclose(change, again[path], atol=1e-7)
    assert any(not np.allclose(change, without[path], atol=1e-4) for path, change in with_dropout.items())
