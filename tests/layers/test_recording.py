import numpy as np

from kbert.layers.normalization import LayerNorm
from kbert.layers.projection import Projection
from kbert.layers.recording import record_call, recorded_calls
from kbert.models.encoder import BertEncoder

INPUTS = {
    "input_word_ids": np.array([[5, 6, 0], [7, 8, 9]]),
    "input_mask": np.array([[1, 1, 0], [1, 1, 1]]),
    "input_type_ids": np.zeros((2, 3), int),
}


def test_the_layers_with_weights_are_recorded_in_order(small_config):
    encoder = BertEncoder(small_config, skip_padding=True)
    with recorded_calls() as recording:
        outputs = encoder(INPUTS, training=True)
    layers = [call.layer for call in recording.calls]
    block = encoder.blocks[0]
    assert layers[:6] == [
        encoder.embeddings.norm,
        block.attention.qkv,
        block.attention.output_projection,
        block.attention_norm,
        block.intermediate,
        block.output_projection,
    ]
    assert layers[-2:] == [encoder.blocks[-1].output_norm, encoder.pooler.dense]
    np.testing.assert_allclose(np.tanh(recording.calls[-1].outputs), outputs["pooled_output"], rtol=1e-5)


def test_tokens_in_a_row_have_their_places(small_config):
    with recorded_calls() as recording:
        BertEncoder(small_config, skip_padding=True)(INPUTS, training=True)
    row = recording.calls[0].row
    assert np.array(row.places).tolist() == [0, 1, 3, 4, 5]
    assert np.array(row.tokens).tolist() == [[0, 1, 5], [2, 3, 4]]
    assert recording.calls[0].inputs.shape == (1, 5, small_config.hidden_size)
    assert recording.calls[-1].row is None  # the pooler reads rows
    with recorded_calls() as padded:
        BertEncoder(small_config)(INPUTS, training=True)
    assert all(call.row is None for call in padded.calls)


def test_the_inputs_of_a_norm_are_normalized():
    norm = LayerNorm()
    norm.build((None, 2))
    norm.gamma.assign([3.0, 3.0])
    with recorded_calls() as recording:
        norm(np.array([[1.0, 5.0]], np.float32), training=True)
    np.testing.assert_allclose(recording.calls[0].inputs, [[-1.0, 1.0]], atol=1e-3)
    np.testing.assert_allclose(recording.calls[0].outputs, [[-3.0, 3.0]], atol=1e-3)


def test_without_a_recording_nothing_is_kept():
    layer = Projection(1, "ones")
    layer(np.ones((1, 2), np.float32))
    record_call(layer, None, None)
    with recorded_calls() as recording:
        pass
    assert recording.calls == []
    layer(np.ones((1, 2), np.float32))
    assert recording.calls == []
