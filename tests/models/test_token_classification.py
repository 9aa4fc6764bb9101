import numpy as np

from kbert.models.token_classification import TokenClassificationModel


def test_every_token_has_logits(random_model, batch):
    model = random_model(lambda encoder: TokenClassificationModel(encoder, 4), pooled=False)
    hidden = np.asarray(model.encoder(batch)["sequence_output"])
    expected = hidden @ np.asarray(model.head.dense.kernel) + np.asarray(model.head.dense.bias)
    assert expected.shape == (3, 6, 4)
    np.testing.assert_allclose(model(batch)["logits"], expected, atol=1e-5)
