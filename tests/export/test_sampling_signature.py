import numpy as np
import pytest
import tensorflow as tf

from kbert.export.sampling_signature import sampling_signatures, with_seeds
from kbert.prediction.loading import load
from kbert.tasks.decoding.settings import Decoding
from kbert.tasks.generation import GenerationTask


@pytest.mark.long
def test_models_that_generate_texts_draw_by_seeds(tmp_path, make_task_model, small_config):
    config = small_config.replace(num_hidden_layers=1)
    folder = make_task_model(tmp_path / "run", GenerationTask(Decoding(max_target=5)), config=config)
    (sample,) = sampling_signatures(load(folder).text_model).values()

    def drawn(texts, seeds, temperatures):
        answers = sample(tf.constant(texts), tf.constant(seeds, tf.int64), tf.constant(temperatures))
        return answers["generated"].numpy().tolist(), answers["score"].numpy()

    texts, scores = drawn(["the cat", "a dog", "the cat", "the cat"], [1, 1, 1, 2], [2.0, 2.0, 2.0, 2.0])
    alone, score = drawn(["the cat"], [1], [2.0])
    assert alone[0] == texts[0] == texts[2] != texts[3]
    np.testing.assert_allclose([scores[0], scores[2]], score[0], atol=1e-5)


def test_other_models_have_no_such_signature(classifier):
    assert sampling_signatures(load(classifier).text_model) == {}


def test_a_request_has_a_seed_and_a_temperature_for_each_text():
    request = with_seeds({"text": np.array(["a", "b"], object)})
    assert list(request) == ["text", "seed", "temperature"]
    assert (request["seed"].numpy().tolist(), request["temperature"].numpy().tolist()) == ([0, 1], [1.0, 1.0])
