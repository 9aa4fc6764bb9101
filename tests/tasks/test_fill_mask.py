import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.prediction.loading import load
from kbert.pretrained.loading import load_model
from kbert.tasks.factories import trainable_task_class
from kbert.tasks.fill_mask import FillMaskTask


@pytest.fixture(scope="module")
def model(pretrained):
    return load(pretrained)


@pytest.mark.long
def test_a_pretrained_model_fills_masks(model, pretrained):
    assert isinstance(model.task, FillMaskTask)
    texts = ["the [MASK] sat on the [MASK].", "a cat", "[MASK]"]
    answers = model.predict(texts)
    assert [len(answer["masks"]) for answer in answers] == [2, 0, 1]
    # [CLS] the [MASK] sat on the [MASK] . [SEP], with the Keras model and all its heads.
    ids = np.array([[2, 5, 4, 9, 10, 5, 4, 20, 3]], np.int32)
    batch = {"input_word_ids": ids, "input_mask": ids * 0 + 1, "input_type_ids": ids * 0}
    logits = load_model(pretrained)(batch | {"masked_lm_positions": np.array([[2, 6]], np.int32)})["mlm_logits"]
    expected = tf.nn.softmax(logits).numpy()[0]
    for mask, probabilities in zip(answers[0]["masks"], expected, strict=True):
        best = np.argsort(-probabilities)[:10]
        assert list(mask) == [model.tokenizer.vocabulary[index] for index in best]
        assert list(mask.values()) == pytest.approx(probabilities[best].tolist(), abs=1e-5)
    assert model.task.text_line(answers[1]) == "(no [MASK])\ta cat"


def test_it_is_neither_trained_nor_evaluated(model, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\na cat\n")
    with pytest.raises(UsageError, match=r"^the task fill-mask is not evaluated on a file; "):
        model.evaluate(path)
    with pytest.raises(UsageError, match=r"^the task fill-mask is not fine-tuned; pretraining trains it"):
        trainable_task_class("fill-mask")
