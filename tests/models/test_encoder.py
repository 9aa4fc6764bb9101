import keras
import numpy as np
import pytest
import tensorflow as tf

from kbert.config import preset_config
from kbert.errors import UsageError
from kbert.models.encoder import BertEncoder


@pytest.fixture(scope="module")
def encoder(small_config):
    encoder = BertEncoder(small_config)
    rng = np.random.default_rng(0)
    for variable in encoder.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return encoder


def make_batch(lengths, width):
    rng = np.random.default_rng(1)
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int32)
    ids = np.stack([np.pad(rng.integers(5, 23, length), (0, width - length)) for length in lengths])
    types = (np.arange(width) >= 3) * mask
    return {
        "input_word_ids": ids.astype(np.int32),
        "input_mask": mask,
        "input_type_ids": types.astype(np.int32),
    }


@pytest.mark.parametrize(
    ("preset", "vocab_size", "parameters"),
    [
        ("tiny", 30_522, 4_385_920),
        ("mini", 30_522, 11_170_560),
        ("small", 30_522, 28_763_648),
        pytest.param("medium", 30_522, 41_373_184, marks=pytest.mark.slow),
        pytest.param("base", 30_522, 109_482_240, marks=pytest.mark.slow),
        pytest.param("large", 30_522, 335_141_888, marks=pytest.mark.slow),
        pytest.param("base", 28_996, 108_310_272, marks=pytest.mark.slow),
        pytest.param("base", 21_128, 102_267_648, marks=pytest.mark.slow),
        pytest.param("base", 119_547, 177_853_440, marks=pytest.mark.slow),
        pytest.param("large", 28_996, 333_579_264, marks=pytest.mark.slow),
    ],
)
def test_parameters_of_the_published_models(preset, vocab_size, parameters):
    assert BertEncoder(preset_config(preset, vocab_size)).count_params() == parameters


def test_names_shapes_and_dtypes_of_the_outputs(encoder):
    outputs = encoder(make_batch([7, 4, 1], 7))
    assert {name: (tuple(value.shape), value.dtype.name) for name, value in outputs.items()} == {
        "sequence_output": ((3, 7, 32), "float32"),
        "pooled_output": ((3, 32), "float32"),
    }
    assert np.abs(outputs["pooled_output"]).max() <= 1


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("remat", [True, False])
def test_the_last_block_can_compute_first_tokens_only(encoder, small_config, skip_padding, remat):
    """The pooled output and all gradients are those of an encoder that computes all tokens."""
    config = small_config.replace(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    batch = make_batch([7, 4, 1, 0], 7)
    weights = np.random.default_rng(2).normal(size=(4, 32)).astype(np.float32)
    found = []
    for pooled_only in (False, True):
        other = BertEncoder(config, pooled_only=pooled_only, skip_padding=skip_padding, remat=remat)
        other.set_weights(encoder.get_weights())
        with tf.GradientTape() as tape:
            outputs = other(batch, training=True)
            loss = tf.reduce_mean(weights * outputs["pooled_output"])
        gradients = tape.gradient(loss, [variable.value for variable in other.trainable_variables])
        found.append([outputs["pooled_output"], *map(tf.convert_to_tensor, gradients)])
        assert ("sequence_output" in outputs) != pooled_only
    for whole, alone in zip(*found, strict=True):
        np.testing.assert_allclose(alone, whole, rtol=0, atol=1e-6)


def test_an_encoder_with_only_a_pooled_output_can_be_saved(encoder, small_config, tmp_path):
    alone = BertEncoder(small_config, pooled_only=True)
    alone.set_weights(encoder.get_weights())
    alone.save(tmp_path / "encoder.keras")
    opened = keras.saving.load_model(tmp_path / "encoder.keras")
    batch = make_batch([7, 4], 7)
    assert opened(batch).keys() == {"pooled_output"}
    np.testing.assert_array_equal(opened(batch)["pooled_output"], alone(batch)["pooled_output"])


@pytest.mark.parametrize("options", [{"packed": True}, {"pooled": False}])
def test_only_an_encoder_with_one_pooled_output_of_each_row_can_return_it_alone(small_config, options):
    with pytest.raises(UsageError, match=r"^pooled_only needs an encoder with a pooler .* Received: pooled="):
        BertEncoder(small_config, pooled_only=True, **options)


def test_padding_never_changes_a_result(encoder):
    short = make_batch([5, 5], 5)
    padded = {name: np.pad(values, ((0, 0), (0, 9))) for name, values in short.items()}
    # What stands under the padding is of no account either.
    padded["input_word_ids"][:, 5:] = 9
    padded["input_type_ids"][:, 5:] = 1
    expected, outputs = encoder(short), encoder(padded)
    np.testing.assert_allclose(outputs["sequence_output"][:, :5], expected["sequence_output"], rtol=0, atol=5e-6)
    np.testing.assert_allclose(outputs["pooled_output"], expected["pooled_output"], rtol=0, atol=5e-6)


def test_a_batch_equals_its_rows(encoder):
    batch = make_batch([8, 3, 6, 1], 8)
    together = encoder(batch)
    for row in range(4):
        alone = encoder({name: values[row : row + 1] for name, values in batch.items()})
        for name, values in alone.items():
            np.testing.assert_allclose(together[name][row], values[0], rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", ["input_word_ids", "input_mask", "input_type_ids"])
def test_every_feature_matters(encoder, name):
    batch = make_batch([6], 6)
    expected = encoder(batch)["pooled_output"]
    changed = batch[name].copy()
    changed[0, 4] = 1 - changed[0, 4] if name != "input_word_ids" else 5 + (changed[0, 4] - 4) % 18
    assert np.abs(encoder(batch | {name: changed})["pooled_output"] - expected).max() > 1e-3


def test_order_matters(encoder):
    batch = make_batch([6], 6)
    batch["input_type_ids"][:] = 0
    swapped = batch | {"input_word_ids": batch["input_word_ids"][:, [0, 2, 1, 3, 4, 5]]}
    assert np.abs(encoder(swapped)["pooled_output"] - encoder(batch)["pooled_output"]).max() > 1e-3


def test_dropout_while_training_only(encoder):
    batch = make_batch([6], 6)
    plain = encoder(batch)["pooled_output"]
    np.testing.assert_array_equal(encoder(batch, training=False)["pooled_output"], plain)
    first, second = (np.asarray(encoder(batch, training=True)["pooled_output"]) for _ in range(2))
    assert not np.allclose(first, plain)
    assert not np.allclose(first, second)


def test_weights_depend_on_the_seed_alone(small_config):
    first, again, other = (BertEncoder(small_config, seed=seed).get_weights() for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert sum(not np.array_equal(a, b) for a, b in zip(first, other, strict=True)) == 4 * 2 + 4


def test_bfloat16_is_near_float32(encoder, small_config):
    rounded = BertEncoder(small_config, precision="bfloat16")
    rounded.set_weights(encoder.get_weights())
    assert {variable.dtype for variable in rounded.trainable_variables} == {"float32"}
    batch = make_batch([8, 3], 8)
    outputs, expected = rounded(batch)["pooled_output"], encoder(batch)["pooled_output"]
    assert outputs.dtype == "float32"
    assert 1e-5 < np.abs(outputs - expected).max() < 0.1


def test_all_dropout_shares_one_variable(encoder):
    assert {id(variable) for variable in encoder.non_trainable_variables} == {id(encoder.seed_generator.state)}


def test_a_packed_encoder_gives_what_each_example_gives_alone(encoder, small_config):
    packed = BertEncoder(small_config, packed=True)
    assert [variable.path for variable in packed.variables] == [variable.path for variable in encoder.variables]
    packed.set_weights(encoder.get_weights())
    lengths = (5, 9, 4)
    parts = [make_batch([length], length) for length in lengths]
    row = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
    row = {name: np.pad(values, ((0, 0), (0, 2))) for name, values in row.items()}
    row["input_positions"] = np.concatenate([*map(np.arange, lengths), [0, 0]])[None].astype(np.int32)
    row["input_example_ids"] = np.repeat([1, 2, 3, 0], [*lengths, 2])[None].astype(np.int32)
    row["next_sentence_positions"] = np.array([[0, 5, 14, 0]], np.int32)
    outputs = packed(row)
    assert tuple(outputs["pooled_output"].shape) == (1, 4, 32)
    for number, (begin, part) in enumerate(zip((0, 5, 14), parts, strict=True)):
        alone = encoder(part)
        end = begin + lengths[number]
        np.testing.assert_allclose(outputs["sequence_output"][:, begin:end], alone["sequence_output"], atol=1e-5)
        np.testing.assert_allclose(outputs["pooled_output"][:, number], alone["pooled_output"], atol=1e-5)


def test_skipping_padding_changes_no_result(encoder, small_config):
    skipping = BertEncoder(small_config, skip_padding=True)
    for variable, value in zip(skipping.trainable_variables, encoder.trainable_variables, strict=True):
        variable.assign(value)
    batch = make_batch([7, 4, 1], 7)
    expected, found = encoder(batch), skipping(batch)
    is_token = batch["input_mask"][..., None]
    np.testing.assert_allclose(found["pooled_output"], expected["pooled_output"], atol=1e-6)
    np.testing.assert_allclose(found["sequence_output"], expected["sequence_output"] * is_token, atol=1e-5)
