import numpy as np

from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.tensor_names import assign_tensors, masked_language_model_bindings, pretraining_bindings, read_tensors


def test_the_same_logits_as_the_pretraining_model(random_model, batch):
    pretraining = random_model(PretrainingModel)
    model = MaskedLanguageModel(BertEncoder(pretraining.encoder.config, pooled=False))
    assert model.encoder.pooler is None
    assign_tensors(masked_language_model_bindings(model), read_tensors(pretraining_bindings(pretraining)))
    positions = {"masked_lm_positions": np.array([[5, 0], [2, 3], [0, 0]], np.int32)}
    logits = model(batch | positions)["mlm_logits"]
    assert tuple(logits.shape) == (3, 2, 23)
    np.testing.assert_allclose(logits, pretraining(batch | positions)["mlm_logits"], atol=1e-6)
