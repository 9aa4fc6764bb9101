import keras
import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.optimizers.variable_rules import layer_rates
from kbert.options import option_infos
from kbert.training.optimizers.adamw import AdamW
from kbert.training.optimizers.lamb import Lamb
from kbert.training.optimizers.muon import Muon
from kbert.training.optimizers.newton_schulz import orthogonalized
from kbert.training.optimizers.registry import OPTIMIZERS, make_optimizer
from kbert.training.optimizers.schedules import Schedule
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.optimizers.sgd import Sgd
from kbert.training.options import TrainingOptions


def variable(value, name="kernel"):
    return keras.Variable(np.float32(value), name=name, dtype="float32")


def step(optimizer, gradients, rate, index):
    optimizer.apply(
        [tf.constant(g, tf.float32) for g in gradients],
        tf.constant(rate, tf.float32),
        tf.constant(index, tf.int64),
    )


def test_a_hundred_steps_as_in_the_test_of_the_original():
    """google-research/bert, optimization_test.py: no decay, learning rate 0.2 falling to 0."""
    weights = variable([0.1, -0.2, -0.1])
    target = tf.constant([0.4, 0.2, -0.5])
    optimizer = AdamW([weights], OptimizerSettings(weight_decay=0.0, clip_norm=1.0))
    schedule = Schedule(peak=0.2, steps=100, warmup_steps=0)
    for index in range(100):
        with tf.GradientTape() as tape:
            tape.watch(weights.value)
            loss = tf.reduce_mean(tf.square(target - weights.value))
        gradients, _ = optimizer.clip(tape.gradient(loss, [weights.value]))
        step(optimizer, gradients, schedule(index), index)
    np.testing.assert_allclose(weights, [0.4, 0.2, -0.5], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_equals_adam_written_out(bias_correction, scale):
    """Also where gradients are as small as epsilon, which is added to the root after its correction."""
    settings = OptimizerSettings(bias_correction=bias_correction, weight_decay=0.1)
    weights = variable([1.0, -2.0, 0.5])
    optimizer = AdamW([weights], settings)
    expected = np.array([1.0, -2.0, 0.5])
    mean = square = np.zeros(3)
    rng = np.random.default_rng(0)
    for index in range(20):
        gradient = scale * rng.normal(size=3)
        rate = 0.05 * (index + 1)
        step(optimizer, [gradient], rate, index)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        first, second = mean, square
        if bias_correction:
            first, second = mean / (1 - 0.9 ** (index + 1)), square / (1 - 0.999 ** (index + 1))
        expected = expected - rate * 0.1 * expected - rate * first / (np.sqrt(second) + 1e-6)
        np.testing.assert_allclose(weights, expected, rtol=2e-4, atol=1e-5)


def test_the_first_step_without_bias_correction_is_three_times_as_long():
    # m = 0.1 g and v = 0.001 g²: m / √v is √10, and 1 when corrected.
    for bias_correction, length in ((False, 10**0.5), (True, 1.0)):
        weights = variable([0.0])
        optimizer = AdamW([weights], OptimizerSettings(bias_correction=bias_correction))
        step(optimizer, [[5.0]], 0.01, 0)
        assert float(weights[0]) == pytest.approx(-0.01 * length, rel=1e-4)


def test_weight_decay_is_off_for_biases_and_layer_norm():
    names = ["kernel", "token_table", "bias", "gamma", "beta"]
    layer = keras.layers.Layer(name="layer")
    weights = [layer.add_weight(shape=(1,), initializer="ones", name=name) for name in names]
    optimizer = AdamW(weights, OptimizerSettings(weight_decay=0.5))
    step(optimizer, [[0.0]] * 5, 0.1, 0)
    assert {v.name: float(v[0]) for v in weights} == pytest.approx(
        {"kernel": 0.95, "token_table": 0.95, "bias": 1, "gamma": 1, "beta": 1}
    )


def test_the_encoder_decays_its_kernels_and_tables_alone(small_config):
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel

    model = PretrainingModel(BertEncoder(small_config))
    optimizer = AdamW(model.trainable_variables, OptimizerSettings())
    assert len(optimizer.trained) == len(model.trainable_variables)
    for trained in optimizer.trained:
        assert bool(trained.decay) == trained.is_kernel == (len(trained.variable.shape) == 2), trained.path


def test_gradients_are_clipped_to_their_global_norm():
    optimizer = AdamW([variable([0.0] * 2), variable([0.0])], OptimizerSettings(clip_norm=1.0))
    clipped, norm = optimizer.clip([tf.constant([3.0, 0.0]), tf.constant([4.0])])
    assert float(norm) == 5
    np.testing.assert_allclose(clipped[0], [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(clipped[1], [0.8], rtol=1e-6)
    small, norm = optimizer.clip([tf.constant([0.3, 0.0]), tf.constant([0.4])])
    assert float(norm) == pytest.approx(0.5)
    np.testing.assert_allclose(small[0], [0.3, 0.0], rtol=1e-6)


def test_slots_are_named_after_their_variables():
    optimizer = AdamW([variable([0.0, 0.0], "a"), variable([0.0], "b")], OptimizerSettings())
    assert {name: tuple(slot.shape) for name, slot in optimizer.slots.items()} == {
        "optimizer/mean/a": (2,),
        "optimizer/mean/b": (1,),
        "optimizer/square/a": (2,),
        "optimizer/square/b": (1,),
    }
    step(optimizer, [[1.0, 2.0], [3.0]], 0.1, 0)
    np.testing.assert_allclose(optimizer.slots["optimizer/mean/a"], [0.1, 0.2], rtol=1e-5)
    np.testing.assert_allclose(optimizer.slots["optimizer/square/b"], [0.009], rtol=1e-4)


# === LAMB (arXiv 1904.00962, algorithm 2) ===


def test_the_first_step_of_lamb_by_hand():
    """Corrected, the first direction is the gradient's sign; with decay 0.5 it is [1 + 1.5, -1 + 2] = [2.5, 1], of norm
    2.692582; the weights' norm is 5, so that they move by 0.1 * 5 / 2.692582 of it."""
    weights = variable([3.0, 4.0])
    lamb = Lamb([weights], OptimizerSettings("lamb", weight_decay=0.5, bias_correction=True))
    step(lamb, [[7.0, -0.2]], 0.1, 0)
    np.testing.assert_allclose(weights, [3 - 2.5 * 0.185695, 4 - 0.185695], rtol=1e-5)


def test_lamb_without_correction_has_the_same_first_step():
    """The ratio takes the length out: m / √v is √10 times the sign."""
    weights = variable([3.0, 4.0])
    step(Lamb([weights], OptimizerSettings("lamb", weight_decay=0.0)), [[7.0, -0.2]], 0.1, 0)
    np.testing.assert_allclose(weights, [3 - 0.5 / 2**0.5, 4 + 0.5 / 2**0.5], rtol=1e-4)


def test_lamb_takes_adams_own_length_for_biases_and_for_weights_that_are_all_0():
    bias = keras.layers.Layer(name="layer").add_weight(shape=(1,), initializer="ones", name="bias")
    zeros = variable([0.0])
    settings = OptimizerSettings("lamb", weight_decay=0.5, bias_correction=True)
    step(Lamb([bias], settings), [[2.0]], 0.1, 0)
    step(Lamb([zeros], settings), [[2.0]], 0.1, 0)
    assert float(bias[0]) == pytest.approx(0.9, rel=1e-5)
    assert float(zeros[0]) == pytest.approx(-0.1, rel=1e-5)


# === Muon ===


def block_weight(value, *names):
    """A variable of a model's block 0."""
    with keras.name_scope("block_0"), keras.name_scope(names[0]):
        return keras.Variable(np.float32(value), name=names[1], dtype="float32")


def test_muon_keeps_directions_and_forgets_their_lengths():
    """Along the axes it can be seen by hand: 9 and 0.6 are 0.998 and 0.0665 of their norm, and x ← 3.4445 x - 4.775 x³
    + 2.0315 x⁵ makes 0.6986 and 1.1264 of them in five rounds."""
    weights = block_weight([[1.0, 2.0], [3.0, 4.0]], "output", "kernel")
    muon = Muon([weights], OptimizerSettings("muon", weight_decay=0.5))
    step(muon, [[[0.0, 9.0], [-0.6, 0.0]]], 0.1, 0)
    decayed = 0.95 * np.array([[1.0, 2.0], [3.0, 4.0]])
    moved = (decayed - weights.numpy()) / (0.1 * 0.2 * 2**0.5)
    np.testing.assert_allclose(moved, [[0, 0.6986], [-1.1264, 0]], atol=1e-3)


def test_muon_remembers_a_mean_with_nesterovs_look_ahead():
    """The second gradient is 0: what is left of the first still moves the weights, by as much."""
    weights = block_weight(np.zeros((2, 2)), "output", "kernel")
    muon = Muon([weights], OptimizerSettings("muon", weight_decay=0.0))
    assert set(muon.slots) == {"optimizer/mean/block_0/output/kernel"}
    step(muon, [np.eye(2)], 0.1, 0)
    once = weights.numpy().copy()
    step(muon, [np.zeros((2, 2))], 0.1, 1)
    np.testing.assert_allclose(weights.numpy(), 2 * once, rtol=1e-4)
    np.testing.assert_allclose(muon.slots["optimizer/mean/block_0/output/kernel"], 0.05 * 0.95 * np.eye(2), rtol=1e-5)


def test_muon_takes_queries_keys_and_values_for_three_matrices():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(4, 4)) for _ in range(3)]
    settings = OptimizerSettings("muon", weight_decay=0.0)
    together = block_weight(np.zeros((4, 12)), "qkv", "kernel")
    step(Muon([together], settings), [np.concatenate(parts, axis=1)], 0.1, 0)
    for number, part in enumerate(parts):
        alone = block_weight(np.zeros((4, 4)), "output", "kernel")
        step(Muon([alone], settings), [part], 0.1, 0)
        np.testing.assert_allclose(together.numpy()[:, 4 * number : 4 * number + 4], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("names", [("output", "bias"), ("norm", "gamma"), ("embeddings", "token_table")])
def test_muon_leaves_all_but_the_kernels_of_blocks_to_adamw(names):
    value = np.arange(6.0).reshape(2, 3)
    ours, adamws = (block_weight(value, *names) for _ in range(2))
    for kind, weights in ((Muon, ours), (AdamW, adamws)):
        optimizer = kind([weights], OptimizerSettings("adamw", bias_correction=True))
        step(optimizer, [np.cos(value)], 0.1, 0)
    assert ours.numpy().tolist() == adamws.numpy().tolist() != value.tolist()


@pytest.mark.parametrize("shape", [(8, 8), (8, 32), (32, 8), (3, 16, 8)])
def test_singular_values_come_near_1(shape):
    matrices = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values = np.linalg.svd(orthogonalized(tf.constant(matrices)).numpy(), compute_uv=False)
    assert values.min() > 0.6
    assert values.max() < 1.25


def test_nothing_has_no_direction():
    assert orthogonalized(tf.zeros([2, 3])).numpy().tolist() == [[0.0] * 3] * 2


# === SGD, layer-wise decay ===


def test_gradient_descent():
    weights = variable([1.0, -2.0])
    sgd = Sgd([weights], OptimizerSettings("sgd", weight_decay=0.1))
    assert sgd.slots == {}
    step(sgd, [[10.0, 0.0]], 0.01, 0)
    np.testing.assert_allclose(weights, [1 - 0.001 - 0.1, -2 + 0.002], rtol=1e-6)


def test_optimizers_by_name():
    assert [type(make_optimizer([], OptimizerSettings(name))) for name in ("adamw", "lamb", "muon", "sgd")] == [
        AdamW,
        Lamb,
        Muon,
        Sgd,
    ]
    with pytest.raises(
        UsageError, match=r"^optimizer must be one of adamw, lamb, muon, sgd\. Received: optimizer='adam'$"
    ):
        OptimizerSettings("adam")
    with pytest.raises(UsageError, match=r"^layer_decay must be above 0 and at most 1\. Received: layer_decay=0$"):
        OptimizerSettings(layer_decay=0)


def test_each_layer_learns_more_slowly_than_the_one_above(small_config):
    paths = ["encoder/embeddings/token_table", "block_0/attention/qkv/kernel", "block_1/output/bias", "pooler/kernel"]
    assert layer_rates(paths, 0.5) == [0.125, 0.25, 0.5, 1.0]
    assert layer_rates(paths, 1.0) == [1.0] * 4
    assert layer_rates(paths, 0.5, head=10.0) == [0.125, 0.25, 0.5, 10.0]

    from kbert.models.encoder import BertEncoder

    encoder = BertEncoder(small_config)
    paths = [variable.path for variable in encoder.trainable_variables]
    rates = dict(zip(paths, layer_rates(paths, 0.5), strict=True))
    assert sorted(set(rates.values())) == [0.125, 0.25, 0.5, 1.0]
    assert {path.split("/")[0] for path, rate in rates.items() if rate == 0.125} == {"embeddings"}


def test_a_lower_rate_is_a_shorter_step():
    layer = keras.layers.Layer(name="block_0")
    low = layer.add_weight(shape=(1,), initializer="ones", name="kernel")
    top = variable([1.0], "top")
    settings = OptimizerSettings("sgd", weight_decay=0.0, layer_decay=0.5)
    step(Sgd([low, top], settings), [[1.0], [1.0]], 0.1, 0)
    assert (float(low[0]), float(top[0])) == pytest.approx((0.95, 0.9))


def test_each_optimizer_of_the_options_exists():
    assert tuple(OPTIMIZERS) == option_infos(TrainingOptions)["optimizer"].choices
