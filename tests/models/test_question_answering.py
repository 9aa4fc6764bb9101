import numpy as np

from kbert.models.question_answering import QuestionAnsweringModel


def test_every_token_may_start_or_end_the_answer(random_model, batch):
    model = random_model(QuestionAnsweringModel, pooled=False)
    hidden = np.asarray(model.encoder(batch)["sequence_output"])
    expected = hidden @ np.asarray(model.head.kernel) + np.asarray(model.head.bias)
    outputs = model(batch)
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "start_logits": (3, 6),
        "end_logits": (3, 6),
    }
    np.testing.assert_allclose(outputs["start_logits"], expected[..., 0], atol=1e-5)
    np.testing.assert_allclose(outputs["end_logits"], expected[..., 1], atol=1e-5)
