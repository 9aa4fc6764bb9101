import time

from kbert.training.devices.strategy import Distribution, make_strategy
from kbert.training.monitoring.peak import matrix_peak


def test_the_peak_is_measured_once():
    one = make_strategy("one")
    peak = matrix_peak("float32", one)
    began = time.perf_counter()
    assert matrix_peak("float32", one) == peak
    assert time.perf_counter() - began < 0.05
    assert 1e8 < peak < 1e15


def test_workers_add_up():
    one = make_strategy("one")
    assert matrix_peak("float32", Distribution(one.strategy, workers=3)) == 3 * matrix_peak("float32", one)
