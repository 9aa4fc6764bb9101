import numpy as np
import pytest

from kbert.config import preset_config
from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel


@pytest.fixture(scope="module")
def model(small_config):
    model = PretrainingModel(BertEncoder(small_config))
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


@pytest.fixture
def batch():
    rng = np.random.default_rng(1)
    return {
        "input_word_ids": rng.integers(5, 23, (2, 6)).astype(np.int32),
        "input_mask": np.ones((2, 6), np.int32),
        "input_type_ids": np.zeros((2, 6), np.int32),
        "masked_lm_positions": np.array([[1, 3, 0], [2, 5, 0]], np.int32),
    }


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("tiny", 4_433_468),
        pytest.param("base", 110_106_428, marks=pytest.mark.slow),
        pytest.param("large", 336_226_108, marks=pytest.mark.slow),
    ],
)
def test_parameters_with_both_heads(preset, parameters):
    model = PretrainingModel(BertEncoder(preset_config(preset)))
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == parameters


def test_logits_are_of_the_encoder_outputs(model, batch):
    outputs = model(batch)
    encoded = model.encoder({name: batch[name] for name in list(batch)[:3]})
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "mlm_logits": (2, 3, 23),
        "nsp_logits": (2, 2),
    }
    np.testing.assert_allclose(outputs["nsp_logits"], model.nsp_head(encoded["pooled_output"]), atol=1e-6)
    table = model.encoder.embeddings.token_table
    for row, positions in enumerate(batch["masked_lm_positions"]):
        for place, position in enumerate(positions):
            alone = model.mlm_head(
                encoded["sequence_output"][row : row + 1, position : position + 1],
                np.zeros((1, 1), np.int32),
                table,
            )
            np.testing.assert_allclose(outputs["mlm_logits"][row, place], alone[0, 0], atol=1e-5)


def test_the_number_of_predictions_is_free(model, batch):
    five = batch | {"masked_lm_positions": np.array([[1, 3, 0, 0, 0], [2, 5, 0, 0, 0]], np.int32)}
    np.testing.assert_allclose(model(five)["mlm_logits"][:, :3], model(batch)["mlm_logits"], atol=1e-6)


def test_the_token_table_is_shared_with_the_output(model, batch):
    import tensorflow as tf

    table = model.encoder.embeddings.token_table.value
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(batch)["mlm_logits"][..., 4])
    gradient = tf.convert_to_tensor(tape.gradient(loss, table)).numpy()
    # Token 4, [MASK], is not in the input: its row matters to the output alone.
    assert 4 not in batch["input_word_ids"]
    assert np.abs(gradient[4]).max() > 0.1
    assert np.abs(gradient[3]).max() == 0


def test_the_token_table_is_counted_once(model):
    paths = [variable.path for variable in model.trainable_variables]
    assert len(set(paths)) == len(paths) == len(model.encoder.trainable_variables) + 5 + 2
