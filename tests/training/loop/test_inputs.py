import time

import numpy as np
import pytest
import tensorflow as tf

from kbert.training.devices.strategy import make_strategy
from kbert.training.loop.inputs import STEP_END, Input


class Numbers:
    """Endless batches of one number each."""

    batch_size = 2

    @property
    def element_spec(self):
        return {"number": tf.TensorSpec([2], tf.int32)}

    def batches(self, start=0):
        while True:
            yield {"number": np.full(2, start, np.int32)}
            start += 1


class Throughput:
    def work(self, batch):
        return np.array([1, int(batch["number"][0])])


@pytest.fixture
def numbers():
    opened = Input(Numbers(), make_strategy("one"), start=5, meter=Throughput())
    yield opened
    opened.close()


def test_batches_come_in_their_order_and_what_they_weigh_with_them(numbers):
    assert [next(numbers.iterator)["number"].numpy().tolist() for _ in range(3)] == [[5, 5], [6, 6], [7, 7]]
    assert numbers.work(2).tolist() == [2, 5 + 6]
    assert numbers.work(1).tolist() == [1, 7]


@pytest.mark.slow
def test_an_input_that_has_been_open_for_long_closes_at_once(numbers):
    next(numbers.iterator)
    time.sleep(20)
    before = time.monotonic()
    numbers.close()
    assert time.monotonic() - before < 1


def test_one_processor_has_no_iterator_of_its_own_with_a_thread_that_tunes(numbers):
    assert isinstance(numbers.iterator, tf.data.Iterator)  # as those of tf.distribute are not


class Parts(Numbers):
    """Steps of two batches each."""

    @property
    def element_spec(self):
        return {**super().element_spec, STEP_END: tf.TensorSpec([2], tf.bool)}

    def batches(self, start=0):
        for batch in super().batches(start):
            yield {**batch, STEP_END: np.full(2, batch["number"][0] % 2 == 1)}


def test_the_batches_of_a_step_are_counted_together():
    opened = Input(Parts(), make_strategy("one"), start=4, meter=Throughput())
    for _ in range(4):
        next(opened.iterator)
    assert opened.work(1).tolist() == [2, 4 + 5]
    assert opened.work(1).tolist() == [2, 6 + 7]
    opened.close()
