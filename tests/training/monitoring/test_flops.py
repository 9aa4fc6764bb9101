from kbert.config import BertConfig, preset_config
from kbert.training.monitoring.flops import encoder_flops, pretraining_heads_flops, training_flops

CONFIG = BertConfig(
    vocab_size=10, hidden_size=4, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8,
    max_position_embeddings=16,
)  # fmt: skip

# By hand, for 3 rows of 5 tokens. A block: queries, keys, values 15·4·12·2 = 1,440; output 15·4·4·2 = 480;
# feed-forward 15·4·8·2 twice = 1,920; scores 3·5·5·4·2 = 600, weighted sums as many. Pooler: 3·4·4·2 = 96.
BLOCK = 1440 + 480 + 1920 + 600 + 600
ENCODER = 2 * BLOCK + 96
# 2 predictions a row: 6·4·4·2 = 192 and 6·4·10·2 = 480; pairs: 3·4·2·2 = 48.
HEADS = 192 + 480 + 48


def test_an_encoder_by_hand():
    assert encoder_flops(CONFIG, 3, 5) == ENCODER
    assert encoder_flops(CONFIG, 3, 5, pooled=False) == 2 * BLOCK


def test_an_encoder_that_returns_only_the_pooled_output_by_hand():
    """The last block has queries, keys and values of 15 tokens, and everything else of 3."""
    last = 1440 + 480 // 5 + 1920 // 5 + 600 // 5 + 600 // 5
    assert encoder_flops(CONFIG, 3, 5, pooled_only=True) == BLOCK + last + 96
    assert training_flops(CONFIG, {"input_word_ids": (3, 5)}, pooled_only=True) == 3 * (BLOCK + last + 96)


def test_the_heads_by_hand():
    assert pretraining_heads_flops(CONFIG, 6, 3) == HEADS
    assert pretraining_heads_flops(CONFIG, 6, 6) == HEADS + 48


def test_a_step_is_three_times_the_forward_pass():
    shapes = {"input_word_ids": (3, 5), "masked_lm_positions": (3, 2), "next_sentence_labels": (3,)}
    assert training_flops(CONFIG, shapes) == 3 * (ENCODER + HEADS)


def test_packed_rows_have_several_pairs():
    shapes = {"input_word_ids": (3, 5), "masked_lm_positions": (3, 2), "next_sentence_labels": (3, 2)}
    assert training_flops(CONFIG, shapes) == 3 * (ENCODER + HEADS + 48)


def test_tasks_have_an_encoder_alone():
    assert training_flops(CONFIG, {"input_word_ids": (3, 5)}) == 3 * ENCODER
    assert training_flops(CONFIG, {"input_word_ids": (1, 3, 5)}) == 3 * ENCODER


def test_six_operations_a_parameter_and_token():
    """The rule of thumb of arXiv 2001.08361: base has 85.1 million parameters in its blocks."""
    shapes = {"input_word_ids": (1, 128)}
    per_token = training_flops(preset_config("base", 30_522), shapes) / 128
    assert 6 * 85.1e6 < per_token < 1.05 * 6 * 85.1e6
