import numpy as np
import pytest

from kbert.config import preset_config
from kbert.models.encoder import BertEncoder
from kbert.models.positional_heads import make_heads_positional

VOCABULARY = 200


def make_encoder(preset, initializer_range):
    return BertEncoder(preset_config(preset, VOCABULARY).replace(initializer_range=initializer_range))


def attention(encoder, ids):
    """What each head of the first block attends to: [S] → [N, S, S]."""
    config = encoder.config
    hidden = np.array(encoder.embeddings(ids[None], np.zeros_like(ids)[None]))[0]
    projected = hidden @ np.array(encoder.blocks[0].attention.qkv.kernel)
    query, key, _ = (part.reshape(len(ids), -1, config.head_size) for part in np.split(projected, 3, axis=-1))
    scores = np.exp(np.einsum("qnd,knd->nqk", query, key) / np.sqrt(config.head_size))
    return scores / scores.sum(-1, keepdims=True)


@pytest.mark.parametrize(("preset", "initializer_range"), [("tiny", 0.05), ("mini", 0.05), ("L-2_H-768", 0.02)])
def test_heads_look_before_after_two_before_two_after(preset, initializer_range):
    encoder = make_encoder(preset, initializer_range)
    make_heads_positional(encoder)
    ids = np.random.default_rng(0).integers(0, VOCABULARY, 512)
    found = attention(encoder, ids)
    for head, offset in list(enumerate((-1, 1, -2, 2, -3, 3)))[: encoder.config.num_attention_heads]:
        at = np.diagonal(found[head], offset)
        assert at.mean() > 0.5, (head, offset)
        assert at.mean() > 2 * np.diagonal(found[head], 0).mean()


def test_without_it_they_look_everywhere():
    ids = np.random.default_rng(0).integers(0, VOCABULARY, 64)
    assert attention(make_encoder("tiny", 0.05), ids).max() < 0.2


def test_the_rest_stays_random():
    random, positional = (make_encoder("mini", 0.05) for _ in range(2))
    make_heads_positional(positional)
    changed = {
        variable.path
        for variable, other in zip(random.trainable_variables, positional.trainable_variables, strict=True)
        if not np.array_equal(variable, other)
    }
    assert changed == {
        "embeddings/token_table",
        "embeddings/position_table",
        "embeddings/type_table",
        "block_0/attention/qkv/kernel",
    }
    kernel, other = (np.array(encoder.blocks[0].attention.qkv.kernel) for encoder in (random, positional))
    np.testing.assert_array_equal(kernel[64:], other[64:])
    np.testing.assert_array_equal(kernel[:, 512:], other[:, 512:])
