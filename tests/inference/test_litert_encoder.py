import numpy as np
import pytest

from kbert.errors import UsageError
from kbert.inference import litert_rows
from kbert.inference.litert_encoder import litert_encoder
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors, encoder_bindings


@pytest.fixture
def encoder(small_config, random_tensors):
    encoder = BertEncoder(small_config, pooled=False)
    bindings = encoder_bindings(encoder)
    assign_tensors(bindings, random_tensors(bindings))
    return encoder


def _batch(rows, length=16, seed=0):
    rng = np.random.default_rng(seed)
    mask = (np.arange(length) < rng.integers(1, length + 1, rows)[:, None]).astype(np.int32)
    ids, types = (rng.integers(0, most, (rows, length)).astype(np.int32) * mask for most in (23, 2))
    return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}


@pytest.mark.parametrize("row_tokens", [1, 20, 1000])
@pytest.mark.long
def test_any_number_of_texts_in_a_row_gives_the_vectors_of_the_encoder(encoder, monkeypatch, row_tokens):
    monkeypatch.setattr(litert_rows, "ROW_TOKENS", row_tokens)
    batch = _batch(9)
    expected = np.asarray(encoder(batch)["sequence_output"]) * batch["input_mask"][..., None]
    received = litert_encoder(encoder, threads=2)(**batch)
    np.testing.assert_allclose(received, expected, rtol=0, atol=2e-5)


@pytest.mark.long
def test_one_encoder_serves_batches_of_all_shapes(encoder):
    litert = litert_encoder(encoder)
    for rows, length in ((1, 16), (5, 3), (1, 7), (2, 16), (0, 4)):
        batch = _batch(rows, length, seed=rows)
        expected = np.asarray(encoder(batch)["sequence_output"]) * batch["input_mask"][..., None]
        np.testing.assert_allclose(litert(**batch), expected, rtol=0, atol=2e-5)


@pytest.mark.long
def test_padding_may_be_anywhere_and_rows_may_be_empty(encoder):
    batch = _batch(3)
    batch["input_mask"] = np.array([[0, 1, 1, 0, 1], [0] * 5, [1] * 5], np.int32)
    batch |= {name: batch[name][:, :5] for name in ("input_word_ids", "input_type_ids")}
    expected = np.asarray(encoder(batch)["sequence_output"])
    received = litert_encoder(encoder)(**batch)
    kept = batch["input_mask"] == 1
    np.testing.assert_allclose(received[kept], expected[kept], rtol=0, atol=2e-5)
    assert not received[~kept].any()


@pytest.mark.parametrize("row_tokens", [20, 1000])
@pytest.mark.long
def test_an_encoder_that_returns_only_the_pooled_output_has_the_vectors_of_first_tokens(
    small_config, random_tensors, monkeypatch, row_tokens
):
    monkeypatch.setattr(litert_rows, "ROW_TOKENS", row_tokens)
    encoder = BertEncoder(small_config, pooled_only=True)
    bindings = encoder_bindings(encoder)
    assign_tensors(bindings, random_tensors(bindings))
    batch = _batch(9)
    batch["input_mask"][3] = 0
    batch["input_mask"][4, 0] = 0
    litert = litert_encoder(encoder)
    vectors = litert(**batch)
    assert vectors.shape == (9, 1, 32)
    assert not vectors[3:5].any()
    kept = batch["input_mask"][:, 0] == 1
    np.testing.assert_allclose(encoder.pooler(vectors)[kept], encoder(batch)["pooled_output"][kept], rtol=0, atol=2e-5)
    np.testing.assert_allclose(litert(**{name: values[:1] for name, values in batch.items()}), vectors[:1], atol=1e-6)


@pytest.mark.long
def test_weights_in_int8_are_near_the_encoder(encoder):
    batch = _batch(4)
    expected = np.asarray(encoder(batch)["sequence_output"]) * batch["input_mask"][..., None]
    received = litert_encoder(encoder, quantize="dynamic")(**batch)
    assert 1e-5 < np.abs(received - expected).max() < 0.5


@pytest.mark.long
def test_an_invalid_number_of_threads(encoder):
    with pytest.raises(UsageError, match=r"^threads must be at least 1\. Received: threads=0"):
        litert_encoder(encoder, threads=0)
