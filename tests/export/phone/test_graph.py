import numpy as np
import pytest
import tensorflow as tf

from kbert.export.phone.graph import InferenceGraph
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors, encoder_bindings


@pytest.mark.parametrize(("pooled", "pooled_only"), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new", "relu"])
@pytest.mark.long
def test_the_graph_computes_what_the_encoder_computes(small_config, random_tensors, hidden_act, pooled, pooled_only):
    encoder = BertEncoder(small_config.replace(hidden_act=hidden_act), pooled=pooled, pooled_only=pooled_only)
    bindings = encoder_bindings(encoder)
    assign_tensors(bindings, random_tensors(bindings))
    rng = np.random.default_rng(0)
    mask = (np.arange(16) < 11).astype(np.int32)[None]
    ids, types = rng.integers(0, 23, (1, 16)).astype(np.int32), (np.arange(16) > 5).astype(np.int32)[None]
    expected = encoder({"input_word_ids": ids, "input_mask": mask, "input_type_ids": types})
    received = tf.function(InferenceGraph(encoder, 16))(*map(tf.constant, (ids, mask, types)))
    assert received.keys() == expected.keys()
    assert ("pooled_output" in received, "sequence_output" in received) == (pooled, not pooled_only)
    for name, value in expected.items():
        assert received[name].shape == value.shape
        kept = mask == 1 if name == "sequence_output" else slice(None)
        np.testing.assert_allclose(received[name].numpy()[kept], np.asarray(value)[kept], rtol=0, atol=2e-5)
