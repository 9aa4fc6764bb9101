import keras
import numpy as np
import pytest

from kbert.errors import UsageError
from kbert.layers.attention import MASK_BIAS, prefix_attention_bias
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.prefix_language_model import PrefixLanguageModel
from kbert.models.tensor_names import assign_tensors, masked_language_model_bindings

IDS = np.int32([[2, 5, 7, 3, 6, 8, 9], [2, 5, 3, 10, 0, 0, 0]])
TYPES = np.int32([[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0, 0]])
BATCH = {"input_word_ids": IDS, "input_mask": np.int32(IDS > 0), "input_type_ids": TYPES}
POSITIONS = {"masked_lm_positions": np.int32([[3, 4, 5, 6], [2, 3, 0, 0]])}
WEIGHTS = {"masked_lm_weights": np.float32([[1, 1, 1, 1], [1, 1, 0, 0]])}


@pytest.fixture(scope="module")
def make(small_config, random_tensors):
    """Makes a model with random weights, biases too."""

    def model(kind=PrefixLanguageModel, *, skip_padding=False, **options):
        made = kind(BertEncoder(small_config, pooled=False, skip_padding=skip_padding), **options)
        bindings = masked_language_model_bindings(made)
        assign_tensors(bindings, random_tensors(bindings))
        return made

    return model


def test_a_target_sees_its_source_and_itself_up_to_the_present_token():
    bias = np.asarray(prefix_attention_bias(BATCH["input_mask"], TYPES))
    assert bias.shape == (2, 1, 7, 7)
    visible = [
        "1111000",  # the source sees the source
        "1111000",
        "1111000",
        "1111000",
        "1111100",  # a token of the target sees the target up to itself, too
        "1111110",
        "1111111",
    ]
    assert ["".join("01"[int(value == 0)] for value in row) for row in bias[0, 0]] == visible
    assert set(np.unique(bias)) == {0, MASK_BIAS}
    assert (bias[1, 0, :, 4:] == MASK_BIAS).all()  # padding


def test_later_tokens_do_not_change_earlier_predictions(make):
    model = make()
    changed = np.where((TYPES == 1) & (np.arange(7) > 4), 11, IDS)
    before, after = (
        np.asarray(model({**BATCH, "input_word_ids": ids, **POSITIONS})["mlm_logits"]) for ids in (IDS, changed)
    )
    np.testing.assert_allclose(before[0, :2], after[0, :2], atol=1e-5)
    assert np.abs(before[0, 2] - after[0, 2]).max() > 1e-2


def test_without_a_target_it_is_a_masked_language_model(make):
    batch = {**BATCH, "input_type_ids": TYPES * 0, **POSITIONS}
    expected = make(MaskedLanguageModel)(batch)["mlm_logits"]
    np.testing.assert_allclose(make()(batch)["mlm_logits"], expected, atol=1e-5)


def test_rows_without_padding_give_the_same_logits(make):
    expected = np.asarray(make()({**BATCH, **POSITIONS})["mlm_logits"])
    skipping = make(skip_padding=True)
    np.testing.assert_allclose(skipping({**BATCH, **POSITIONS})["mlm_logits"], expected, atol=1e-5)
    used = np.asarray(skipping({**BATCH, **POSITIONS, **WEIGHTS})["mlm_logits"])
    np.testing.assert_allclose(used, expected[WEIGHTS["masked_lm_weights"] > 0], atol=1e-5)


@pytest.mark.parametrize("skip_padding", [False, True])
def test_one_token_at_a_time_gives_the_same_vectors(make, skip_padding):
    """Two answers to the source 5 7, side by side: 6 8 9 and 9 9 6."""
    model = make(skip_padding=skip_padding)
    source = {name: values[:1, :4] for name, values in BATCH.items()}
    answers = np.int32([[6, 8, 9], [9, 9, 6]])
    rows = np.concatenate([np.repeat(source["input_word_ids"], 2, 0), answers], 1)
    types = np.int32([[0, 0, 0, 0, 1, 1, 1]] * 2)
    expected = model(
        {
            "input_word_ids": rows,
            "input_mask": rows * 0 + 1,
            "input_type_ids": types,
            "masked_lm_positions": np.int32([[3, 4, 5, 6]] * 2),
        }
    )["mlm_logits"]
    padded = {name: np.pad(values, ((0, 0), (0, 2))) for name, values in source.items()}
    hidden, cache = model.read_source(padded)
    assert cache.lengths.numpy().tolist() == [4]
    np.testing.assert_allclose(model.next_logits(hidden)[0, 0], expected[0, 0], atol=1e-5)
    keys = [np.zeros((1, 2, 16, 0), np.float32)] * 2
    values = [np.zeros((1, 2, 0, 16), np.float32)] * 2
    for place in range(3):
        own = np.tile(np.eye(2, dtype=np.float32), (1, place + 1))
        bias = (1 - own)[None, None] * MASK_BIAS
        hidden, keys, values = model.step(answers[None, :, place], place, cache, keys, values, bias)
        np.testing.assert_allclose(model.next_logits(hidden)[0], expected[:, place + 1], atol=1e-5)


def test_a_new_head_keeps_the_geometry_of_the_token_table(small_config):
    model = PrefixLanguageModel(BertEncoder(small_config, pooled=False))
    vectors = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    normed = (vectors - vectors.mean(1, keepdims=True)) / vectors.std(1, keepdims=True)
    logits = model.next_logits(vectors[None])[0]
    np.testing.assert_allclose(logits, normed @ np.asarray(model.encoder.embeddings.token_table).T, atol=1e-4)


def test_target_tokens_are_replaced_in_training(make):
    model = make(target_masks=0.5)
    targets = {6, 8, 9, 10}
    drawn = [np.asarray(model._with_wrong_tokens(IDS, TYPES)) for _ in range(40)]
    assert all((each[TYPES == 0] == IDS[TYPES == 0]).all() for each in drawn)
    assert {int(value) for each in drawn for value in each[TYPES == 1]} == targets
    # Half of the tokens are replaced, a quarter of them by themselves.
    changed = np.mean([(each != IDS)[TYPES == 1] for each in drawn])
    assert changed == pytest.approx(0.375, abs=0.1)
    plain = model({**BATCH, **POSITIONS}, training=False)["mlm_logits"]
    np.testing.assert_allclose(plain, make()({**BATCH, **POSITIONS})["mlm_logits"], atol=1e-6)


def test_the_part_of_replaced_tokens_is_checked_and_kept(small_config):
    encoder = BertEncoder(small_config, pooled=False)
    with pytest.raises(UsageError, match=r"^target_masks must be in \[0, 1\)\. Received: target_masks=1$"):
        PrefixLanguageModel(encoder, 1)
    model = PrefixLanguageModel(encoder, 0.25)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert (type(again), again.target_masks) == (PrefixLanguageModel, 0.25)
