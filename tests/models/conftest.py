import numpy as np
import pytest

from kbert.models.encoder import BertEncoder


@pytest.fixture
def random_model(small_config):
    """Builds a model on an encoder and gives all its variables random values."""

    def make(build, *, config=small_config, pooled=True):
        model = build(BertEncoder(config, pooled=pooled))
        rng = np.random.default_rng(0)
        for variable in model.trainable_variables:
            variable.assign(rng.normal(0, 0.3, variable.shape))
        return model

    return make


@pytest.fixture
def batch():
    """Three texts of 6, 4 and 1 tokens."""
    mask = (np.arange(6) < np.array([6, 4, 1])[:, None]).astype(np.int32)
    return {
        "input_word_ids": np.random.default_rng(1).integers(5, 23, (3, 6)).astype(np.int32) * mask,
        "input_mask": mask,
        "input_type_ids": (np.arange(6) >= 3) * mask,
    }
