import math

import keras
import numpy as np
import pytest

from kbert.config import BertConfig
from kbert.layers.heads import ClassificationHead, MaskedLanguageModelHead, Pooler

CONFIG = BertConfig(vocab_size=6, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
HIDDEN = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)


def randomized(layer):
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return layer


def dense(values, layer):
    return values @ np.asarray(layer.kernel) + np.asarray(layer.bias)


@pytest.fixture
def pooler():
    layer = Pooler(CONFIG, keras.random.SeedGenerator(0))
    layer.build((None, None, 4))
    return randomized(layer)


@pytest.fixture
def mlm_head():
    layer = MaskedLanguageModelHead(CONFIG, keras.random.SeedGenerator(0))
    layer.build()
    return randomized(layer)


TABLE = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)


def test_the_pooler_is_tanh_of_the_first_token(pooler):
    np.testing.assert_allclose(pooler(HIDDEN), np.tanh(dense(HIDDEN[:, 0], pooler.dense)), atol=1e-6)
    assert pooler.compute_output_shape((2, 5, 4)) == (2, 4)


def test_mlm_logits_by_hand(mlm_head):
    positions = np.array([[4, 0, 2], [1, 1, 3]], np.int32)
    gathered = np.stack([HIDDEN[0, [4, 0, 2]], HIDDEN[1, [1, 1, 3]]]).astype(np.float64)
    inner = dense(gathered, mlm_head.dense)
    inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    centred = inner - inner.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    normed = normed * np.asarray(mlm_head.norm.gamma) + np.asarray(mlm_head.norm.beta)
    expected = normed @ TABLE.T + np.asarray(mlm_head.bias)
    outputs = mlm_head(HIDDEN, positions, TABLE)
    assert outputs.shape == (2, 3, 6)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


def test_the_mlm_head_looks_at_its_positions_alone(mlm_head):
    positions = np.array([[1, 3], [0, 2]], np.int32)
    other = HIDDEN.copy()
    other[0, [0, 2, 4]] = 9
    other[1, [1, 3, 4]] = 9
    np.testing.assert_array_equal(mlm_head(HIDDEN, positions, TABLE), mlm_head(other, positions, TABLE))


def test_the_mlm_head_has_no_output_table_of_its_own(mlm_head):
    assert mlm_head.count_params() == 4 * 4 + 4 + 2 * 4 + 6
    doubled = mlm_head(HIDDEN, np.zeros((2, 1), np.int32), 2 * TABLE) - np.asarray(mlm_head.bias)
    once = mlm_head(HIDDEN, np.zeros((2, 1), np.int32), TABLE) - np.asarray(mlm_head.bias)
    np.testing.assert_allclose(doubled, 2 * once, rtol=1e-5)
    assert mlm_head.compute_output_shape((2, 5, 4), (2, 3)) == (2, 3, 6)


def test_classification_logits():
    head = ClassificationHead(CONFIG, 3, keras.random.SeedGenerator(0))
    head.build((None, 4))
    randomized(head)
    pooled = HIDDEN[:, 0]
    np.testing.assert_allclose(head(pooled), dense(pooled, head.dense), atol=1e-6)
    assert head.compute_output_shape((7, 4)) == (7, 3)


def test_the_classification_head_drops_while_training_only():
    head = ClassificationHead(CONFIG.replace(hidden_dropout_prob=0.5), 3, keras.random.SeedGenerator(0))
    head.build((None, 4))
    randomized(head)
    pooled = np.ones((4, 4), np.float32)
    np.testing.assert_array_equal(head(pooled, training=False), head(pooled))
    assert not np.allclose(head(pooled, training=True), head(pooled))


def test_the_pooler_takes_the_first_token_of_each_packed_example(pooler):
    positions = np.array([[0, 3, 0], [1, 2, 4]], np.int32)
    outputs = pooler(HIDDEN, positions)
    assert tuple(outputs.shape) == (2, 3, 4) == pooler.compute_output_shape((2, 5, 4), (2, 3))
    for row in range(2):
        expected = np.tanh(dense(HIDDEN[row, positions[row]], pooler.dense))
        np.testing.assert_allclose(outputs[row], expected, atol=1e-6)
