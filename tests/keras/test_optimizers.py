"""kbert's Keras optimizers in `compile` compute the same numbers as the optimizers of the training loop."""

import citizens
import keras
import numpy as np
import pytest
import tensorflow as tf

import kbert
from kbert.errors import UsageError
from kbert.models.encoder import BertEncoder
from kbert.training.optimizers.registry import make_optimizer
from kbert.training.optimizers.schedules import SCHEDULES, Schedule
from kbert.training.optimizers.settings import OptimizerSettings

KINDS = {"adamw": kbert.AdamW, "lamb": kbert.Lamb, "muon": kbert.Muon, "sgd": kbert.SGD}


@pytest.mark.long
@pytest.mark.parametrize("layer_decay", [1.0, 0.8])
@pytest.mark.parametrize("bias_correction", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_the_same_steps_as_the_training_loop(small_config, name, bias_correction, layer_decay):
    if name == "sgd" and not bias_correction:
        pytest.skip("SGD has no means to correct")
    ours, theirs = (BertEncoder(small_config, seed=1).trainable_variables for _ in range(2))
    schedule = Schedule(0.01, 6, 2)
    same = {"layer_decay": layer_decay, "head_rate": 0.5, "weight_decay": 0.1}
    settings = OptimizerSettings(name, bias_correction=bias_correction, **same)
    loop = make_optimizer(theirs, settings)
    options = {} if name == "sgd" else {"bias_correction": bias_correction}
    optimizer = KINDS[name](kbert.WarmupSchedule(0.01, 6, 2), **same, **options)
    rng = np.random.default_rng(0)
    for step in range(6):
        gradients = [tf.constant(rng.normal(size=variable.shape), tf.float32) for variable in ours]
        clipped, _ = loop.clip(gradients)
        loop.apply(clipped, tf.constant(schedule(step), tf.float32), tf.constant(step, tf.int64))
        optimizer.apply(gradients, ours)
    fresh = BertEncoder(small_config, seed=1).trainable_variables
    for a, b, before in zip(ours, theirs, fresh, strict=True):
        assert np.abs(np.asarray(b) - np.asarray(before)).max() > 1e-4, a.path
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6, err_msg=a.path)


@pytest.mark.parametrize("decay", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 3, 10])
def test_the_same_rates_as_the_training_loop(decay, warmup):
    ours, theirs = kbert.WarmupSchedule(0.02, 10, warmup, decay, 3.0), Schedule(0.02, 10, warmup, decay, 3.0)
    np.testing.assert_allclose([float(ours(s)) for s in range(10)], [theirs(s) for s in range(10)], rtol=2e-5)
    assert float(ours(1000)) == float(ours(9))
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(ours))
    assert type(again) is kbert.WarmupSchedule
    assert again.get_config() == ours.get_config()


@pytest.mark.long
@pytest.mark.parametrize("kind", citizens.OPTIMIZERS)
def test_compile_fit_save_and_go_on(kind):
    citizens.check_optimizer(kind)


def test_rules_by_name_and_by_hand(small_config):
    encoder = BertEncoder(small_config)
    optimizer = kbert.AdamW(1e-3)
    optimizer.exclude_from_weight_decay(var_names=["token_table"])
    optimizer.build(encoder.trainable_variables)
    decayed = {variable.path for variable in encoder.trainable_variables if optimizer.decays(variable)}
    assert "block_0/attention/qkv/kernel" in decayed
    assert "embeddings/position_table" in decayed
    assert not any(path.endswith(("bias", "gamma", "beta", "token_table")) for path in decayed)


def test_refusals():
    with pytest.raises(UsageError, match=r"^layer_decay must be above 0 and at most 1\. Received: layer_decay=0$"):
        kbert.AdamW(1e-3, layer_decay=0)
    with pytest.raises(UsageError, match=r"^head_rate must be above 0\. Received: head_rate=0$"):
        kbert.AdamW(1e-3, head_rate=0)
    with pytest.raises(UsageError, match=r"^weight_decay must be at least 0\. Received: weight_decay=-1$"):
        kbert.SGD(1e-3, weight_decay=-1)
    with pytest.raises(UsageError, match=r"^decay must be one of linear, .*\. Received: decay='exponential'$"):
        kbert.WarmupSchedule(1e-3, 10, decay="exponential")
