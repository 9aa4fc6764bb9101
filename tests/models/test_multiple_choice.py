import numpy as np

from kbert.models.multiple_choice import MultipleChoiceModel


def test_a_choice_is_judged_by_itself(random_model, batch):
    model = random_model(MultipleChoiceModel)
    kernel, bias = np.asarray(model.head.dense.kernel), np.asarray(model.head.dense.bias)
    expected = np.asarray(model.encoder(batch)["pooled_output"]) @ kernel + bias  # [3, 1]
    # The three texts as choices of one example, then as two examples of three choices in different orders.
    one = model({name: values[None] for name, values in batch.items()})["logits"]
    np.testing.assert_allclose(one, expected.T, atol=1e-6)
    order = np.array([[0, 1, 2], [2, 0, 1]])
    two = model({name: values[order] for name, values in batch.items()})["logits"]
    np.testing.assert_allclose(two, expected[:, 0][order], atol=1e-6)
