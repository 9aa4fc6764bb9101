import numpy as np

from kbert.models.classification import ClassificationModel


def test_logits_are_of_the_pooled_output(random_model, batch):
    model = random_model(lambda encoder: ClassificationModel(encoder, 3))
    pooled = np.asarray(model.encoder(batch)["pooled_output"])
    expected = pooled @ np.asarray(model.head.dense.kernel) + np.asarray(model.head.dense.bias)
    assert expected.shape == (3, 3)
    np.testing.assert_allclose(model(batch)["logits"], expected, atol=1e-6)


def test_the_head_has_a_dropout_of_its_own(random_model, batch, small_config):
    config = small_config.replace(hidden_dropout_prob=0, attention_probs_dropout_prob=0, classifier_dropout=0.5)
    model = random_model(lambda encoder: ClassificationModel(encoder, 3), config=config)
    assert np.abs(model(batch, training=True)["logits"] - model(batch)["logits"]).max() > 0.01
    for rate in (0.0, None):  # None: as everywhere, which is 0 here
        model = random_model(
            lambda encoder: ClassificationModel(encoder, 3), config=config.replace(classifier_dropout=rate)
        )
        np.testing.assert_allclose(model(batch, training=True)["logits"], model(batch)["logits"], atol=1e-5)
