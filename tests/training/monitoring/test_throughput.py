import numpy as np
import pytest

from kbert.training.monitoring.flops import training_flops
from kbert.training.monitoring.throughput import TIMINGS, Throughput


def test_padding_is_no_token_but_is_computed(small_config):
    batch = {"input_word_ids": np.ones((2, 4), np.int32), "input_mask": np.array([[1, 1, 1, 0], [1, 0, 0, 0]])}
    operations = training_flops(small_config, {"input_word_ids": (2, 4)})
    assert Throughput(small_config).work(batch).tolist() == [4, operations]


def test_timing(small_config):
    work = np.array([1000.0, 4e9])
    assert Throughput(small_config, peak=1e10).timing(work, 2.0) == {
        "seconds": 2.0,
        "tokens_per_second": 500.0,
        "mfu": pytest.approx(0.2),
    }
    assert tuple(Throughput(small_config, peak=1.0).timing(work, 2.0)) == TIMINGS
    assert "mfu" not in Throughput(small_config).timing(work, 2.0)
