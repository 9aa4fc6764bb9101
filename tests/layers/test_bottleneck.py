import numpy as np
import pytest

from kbert.config import BertConfig
from kbert.layers.bottleneck import Bottleneck
from kbert.layers.encoder_block import EncoderBlock

CONFIG = BertConfig(
    vocab_size=9,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=6,
    bottleneck_size=2,
)


def test_it_narrows_and_widens():
    layer = Bottleneck(CONFIG, 0)
    layer.build((None, None, 8))
    assert layer(np.ones((1, 3, 8), np.float32)).shape == (1, 3, 8)
    np.testing.assert_array_equal(layer(np.ones((1, 3, 8), np.float32)), np.zeros((1, 3, 8)))
    layer.down.kernel.assign(np.eye(8, 2))
    layer.up.kernel.assign([[1.0] * 8, [10.0] * 8])
    layer.up.bias.assign([0.5] * 8)
    inputs = np.array([[3.0, -4.0, 9, 9, 9, 9, 9, 9]], np.float32)
    np.testing.assert_allclose(layer(inputs), [[3.5] * 8])  # ReLU drops the -4


def test_a_block_adds_it_before_its_last_norm():
    rng = np.random.default_rng(0)
    plain, adapted = EncoderBlock(CONFIG.replace(bottleneck_size=None), 0), EncoderBlock(CONFIG, 0)
    inputs, bias = rng.normal(size=(1, 3, 8)).astype(np.float32), np.zeros((1, 1, 1, 3), np.float32)
    for block in (plain, adapted):
        block.build((1, 3, 8))
    for theirs, ours in zip(plain.variables, adapted.variables, strict=False):
        theirs.assign(ours)
    expected = np.array(plain(inputs, bias))
    np.testing.assert_allclose(adapted(inputs, bias), expected, rtol=1e-6, atol=1e-6)
    adapted.bottleneck.up.bias.assign(rng.normal(size=8))
    total = np.array(plain.attention_norm(inputs + np.array(plain.attention(inputs, bias))))
    total = total + np.array(plain.output_projection(plain.intermediate(total)))
    expected = plain.output_norm(total + np.array(adapted.bottleneck.up.bias))
    np.testing.assert_allclose(adapted(inputs, bias), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [Bottleneck, EncoderBlock])
def test_its_settings_are_plain_data(kind):
    again = kind.from_config(kind(CONFIG, 0).get_config())
    assert again.config == CONFIG
