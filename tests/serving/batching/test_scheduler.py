import concurrent.futures
import threading
import time

import numpy as np
import pytest

from kbert.serving.batching.parameters import BatchingParameters
from kbert.serving.batching.scheduler import BatchObserver, BatchQueue, BatchScheduler
from kbert.serving.request_error import RequestError

SECONDS = 10


class Model:
    """Doubles numbers, remembers its batches, and waits while its gate is closed."""

    def __init__(self):
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)

    def __call__(self, inputs):
        self.batches.append(inputs["x"].tolist())
        self.started.release()
        assert self.gate.wait(SECONDS)
        return {"y": inputs["x"] * 2}


@pytest.fixture
def scheduler():
    scheduler = BatchScheduler(1)
    yield scheduler
    scheduler.close()


def numbers(*values):
    return {"x": np.array(values)}


def answer(future):
    return future.result(SECONDS)["y"].tolist()


def queue_of(scheduler, run, **parameters):
    return BatchQueue(scheduler, run, BatchingParameters(**parameters))


def occupied(scheduler, model, queue):
    """Sends a request that occupies the only thread until the gate opens."""
    model.gate.clear()
    first = queue.submit(numbers(0))
    assert model.started.acquire(timeout=SECONDS)
    return first


def test_requests_that_wait_are_computed_in_one_batch(scheduler):
    model = Model()
    queue = queue_of(scheduler, model)
    first = occupied(scheduler, model, queue)
    others = [queue.submit(numbers(*values)) for values in ((1,), (2, 3), (4,))]
    assert queue.length == 3
    model.gate.set()
    assert [answer(each) for each in (first, *others)] == [[0], [2], [4, 6], [8]]
    assert model.batches == [[0], [1, 2, 3, 4]]
    assert queue.length == 0


def test_batches_have_a_largest_size_and_large_requests_are_divided(scheduler):
    model = Model()
    queue = queue_of(scheduler, model, max_execution_batch_size=3)
    first = occupied(scheduler, model, queue)
    large = queue.submit(numbers(*range(8)))
    model.gate.set()
    assert answer(large) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert answer(first) == [0]
    assert model.batches == [[0], [0, 1, 2], [3, 4, 5], [6, 7]]


def test_texts_of_similar_length_are_computed_together(scheduler):
    batches = []
    gate = threading.Event()
    started = threading.Event()

    def run(inputs):
        batches.append(inputs["x"].tolist())
        started.set()
        assert gate.wait(SECONDS)
        return {"y": inputs["x"]}

    queue = queue_of(scheduler, run, max_execution_batch_size=2)
    futures = [queue.submit({"x": np.array([b"first"], object)})]
    assert started.wait(SECONDS)
    for text in (b"long" * 9, b"a", b"long" * 8, b"bb"):
        futures.append(queue.submit({"x": np.array([text], object)}))
    gate.set()
    concurrent.futures.wait(futures, SECONDS)
    assert batches == [[b"first"], [b"long" * 9, b"long" * 8], [b"a", b"bb"]]


def test_the_oldest_request_is_never_passed_over(scheduler):
    model = Model()
    queue = queue_of(scheduler, model, max_execution_batch_size=2)
    occupied(scheduler, model, queue)
    odd = queue.submit({"x": np.array([[7, 7, 7, 7]])})
    for number in range(20):
        queue.submit({"x": np.array([[number]])})
    model.gate.set()
    assert odd.result(SECONDS)["y"].tolist() == [[14, 14, 14, 14]]
    assert [[7, 7, 7, 7]] in model.batches[1:3]


def test_queues_take_turns(scheduler):
    one, other = Model(), Model()
    busy = queue_of(scheduler, one, max_execution_batch_size=1)
    quiet = queue_of(scheduler, other)
    occupied(scheduler, one, busy)
    many = [busy.submit(numbers(number)) for number in range(50)]
    late = quiet.submit(numbers(5))
    late.add_done_callback(lambda _: counts.append(len(one.batches)))
    counts = []
    one.gate.set()
    assert answer(late) == [10]
    assert [answer(each) for each in many] == [[2 * number] for number in range(50)]
    assert counts[0] <= 5


def test_a_batch_that_is_not_full_waits_if_it_is_told_to(scheduler):
    model = Model()
    queue = queue_of(scheduler, model, batch_timeout_micros=200_000, max_execution_batch_size=4)
    start = time.monotonic()
    futures = [queue.submit(numbers(number)) for number in range(3)]
    assert [answer(each) for each in futures] == [[0], [2], [4]]
    assert time.monotonic() - start >= 0.2
    full = [queue.submit(numbers(number)) for number in range(4)]
    concurrent.futures.wait(full, SECONDS)
    assert model.batches == [[0, 1, 2], [0, 1, 2, 3]]


def test_an_invalid_request_does_not_spoil_the_others_of_its_batch(scheduler):
    model = Model()

    def run(inputs):
        if -1 in inputs["x"]:
            model(inputs)
            raise RequestError("INVALID_ARGUMENT", "expected no -1")
        return model(inputs)

    queue = queue_of(scheduler, run)
    first = occupied(scheduler, model, queue)
    good, bad, fine = (queue.submit(numbers(value)) for value in (1, -1, 2))
    model.gate.set()
    assert [answer(each) for each in (first, good, fine)] == [[0], [2], [4]]
    with pytest.raises(RequestError, match="expected no -1"):
        bad.result(SECONDS)


def test_a_batch_that_takes_too_long_is_not_computed_again(scheduler):
    model = Model()

    def run(inputs):
        outputs = model(inputs)
        if len(inputs["x"]) > 1:
            raise RequestError("DEADLINE_EXCEEDED", "too long")
        return outputs

    queue = queue_of(scheduler, run)
    occupied(scheduler, model, queue)
    futures = [queue.submit(numbers(number)) for number in (1, 2)]
    model.gate.set()
    for future in futures:
        with pytest.raises(RequestError, match="too long"):
            future.result(SECONDS)
    assert model.batches == [[0], [1, 2]]


def test_requests_of_several_shapes_are_computed_one_by_one(scheduler):
    model = Model()
    queue = queue_of(scheduler, model)
    occupied(scheduler, model, queue)
    wide, narrow = queue.submit({"x": np.array([[1, 2]])}), queue.submit({"x": np.array([[3]])})
    model.gate.set()
    assert (wide.result(SECONDS)["y"].tolist(), narrow.result(SECONDS)["y"].tolist()) == ([[2, 4]], [[6]])
    assert model.batches[1:] == [[[1, 2]], [[3]]]


def test_a_part_that_fails_ends_the_whole_request(scheduler):
    runs = []

    def run(inputs):
        runs.append(inputs["x"].tolist())
        raise RequestError("INVALID_ARGUMENT", "no")

    queue = queue_of(scheduler, run, max_execution_batch_size=1)
    with pytest.raises(RequestError, match="no"):
        queue.submit(numbers(1, 2, 3)).result(SECONDS)
    scheduler.wait_until_idle(queue)
    assert runs == [[1]]  # the others are not needed


def test_outputs_that_cannot_be_divided_end_their_requests(scheduler):
    def run(inputs):
        # The signature promised a list for each row.
        return {"y": inputs["x"], "count": inputs["x"]}

    queue = BatchQueue(scheduler, run, BatchingParameters(), trimmed=("y",), count="count")
    future = queue.submit(numbers(1))
    with pytest.raises(IndexError):
        future.result(SECONDS)
    # The thread goes on.
    with pytest.raises(IndexError):
        queue.submit(numbers(2)).result(SECONDS)


def test_parts_that_do_not_fit_together_end_their_request(scheduler):
    def run(inputs):
        return {"y": np.zeros((1, 1) if inputs["x"][0] else (1, 1, 1))}

    queue = queue_of(scheduler, run, max_execution_batch_size=1)
    with pytest.raises(ValueError, match="dimension"):
        queue.submit(numbers(0, 1)).result(SECONDS)


def test_outputs_without_a_row_for_each_input_are_refused(scheduler):
    queue = queue_of(scheduler, lambda inputs: {"y": np.array([1])})
    with pytest.raises(RequestError, match=r"0th dimension does not equal .* \(output y: 1 instead of 2\)"):
        queue.submit(numbers(1, 2)).result(SECONDS)
    queue = queue_of(scheduler, lambda inputs: {"y": np.array(1)})
    with pytest.raises(RequestError, match="has 0 dimensions"):
        queue.submit(numbers(1, 2)).result(SECONDS)


def test_a_cancelled_request_is_not_computed(scheduler):
    model = Model()
    queue = queue_of(scheduler, model)
    first = occupied(scheduler, model, queue)
    gone, stays = queue.submit(numbers(1)), queue.submit(numbers(2))
    assert gone.cancel()
    assert not first.cancel()
    model.gate.set()
    assert answer(stays) == [4]
    assert model.batches == [[0], [2]]


def test_too_many_waiting_requests_are_refused(scheduler):
    model = Model()
    queue = queue_of(scheduler, model, max_batch_size=2, max_execution_batch_size=2, max_enqueued_batches=2)
    occupied(scheduler, model, queue)
    waiting = [queue.submit(numbers(number, number)) for number in range(2)]
    with pytest.raises(RequestError, match="queue to which this task was submitted is full") as raised:
        queue.submit(numbers(9))
    assert raised.value.code == "UNAVAILABLE"
    model.gate.set()
    assert [answer(each) for each in waiting] == [[0, 0], [2, 2]]
    assert answer(queue.submit(numbers(9))) == [18]


def test_the_rest_of_a_request_that_is_cancelled_is_not_computed(scheduler):
    model = Model()
    queue = queue_of(scheduler, model, max_execution_batch_size=1)
    model.gate.clear()
    large = queue.submit(numbers(1, 2, 3))
    assert model.started.acquire(timeout=SECONDS)
    assert not large.cancel()  # a part of it is being computed
    model.gate.set()
    with pytest.raises(RequestError, match=r"^the request was cancelled$"):
        large.result(SECONDS)
    scheduler.wait_until_idle(queue)
    assert model.batches == [[1]]


def test_requests_without_rows_are_answered_without_rows(scheduler):
    model = Model()
    queue = queue_of(scheduler, model, allowed_batch_sizes=(2, 4), max_execution_batch_size=4)
    assert answer(queue.submit(numbers())) == []
    assert model.started.acquire(timeout=SECONDS)
    first = occupied(scheduler, model, queue)
    others = [queue.submit(numbers(*values)) for values in ((), (1,), ())]
    model.gate.set()
    assert [answer(each) for each in (first, *others)] == [[0], [], [2], []]
    assert model.batches == [[], [0, 0], [1, 1]]


def test_uneven_requests_are_refused(scheduler):
    queue = queue_of(scheduler, Model())
    with pytest.raises(RequestError, match=r"Received: the shapes x \[1\], z \[2\]"):
        queue.submit({"x": np.zeros(1), "z": np.zeros(2)})
    with pytest.raises(RequestError, match=r"^Batching Run\(\) input tensors must have at least one dimension"):
        queue.submit({"x": np.zeros(())})
    queue = queue_of(scheduler, Model(), max_batch_size=2, enable_large_batch_splitting=False)
    with pytest.raises(RequestError, match=r"^Task size 3 is larger than maximum input batch size 2$"):
        queue.submit(numbers(1, 2, 3))


def test_batches_are_filled_up_to_allowed_sizes(scheduler):
    model = Model()
    queue = queue_of(scheduler, model, allowed_batch_sizes=(2, 4), max_execution_batch_size=4)
    assert answer(queue.submit(numbers(1, 2, 3))) == [2, 4, 6]
    assert model.batches == [[1, 2, 3, 1]]


def test_the_observer_sees_batches_and_waits(scheduler):
    model, sizes, waits = Model(), [], []
    queue = BatchQueue(scheduler, model, BatchingParameters(), observer=BatchObserver(sizes.append, waits.append))
    occupied(scheduler, model, queue)
    others = [queue.submit(numbers(1)), queue.submit(numbers(2, 3))]
    time.sleep(0.05)
    model.gate.set()
    concurrent.futures.wait(others, SECONDS)
    assert sizes == [1, 3]
    assert len(waits) == 3
    assert min(waits[1:]) >= 0.05


def test_closing_answers_what_waits_and_refuses_what_comes_later():
    scheduler, model = BatchScheduler(2), Model()
    queue = queue_of(scheduler, model, batch_timeout_micros=60_000_000)
    waiting = queue.submit(numbers(4))
    scheduler.close()
    assert answer(waiting) == [8]
    with pytest.raises(RequestError, match="being stopped") as raised:
        queue.submit(numbers(5))
    assert raised.value.code == "UNAVAILABLE"


def test_no_request_is_lost_or_mixed_up_under_load():
    scheduler = BatchScheduler(3)
    queues = [queue_of(scheduler, Model(), max_execution_batch_size=5) for _ in range(3)]

    def client(seed):
        rng = np.random.default_rng(seed)
        for _ in range(100):
            values = rng.integers(0, 1000, rng.integers(1, 13)).tolist()
            future = queues[rng.integers(3)].submit(numbers(*values))
            if rng.random() < 0.1 and future.cancel():
                continue
            assert answer(future) == [2 * value for value in values]
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(client, range(8)))
    for queue in queues:
        scheduler.wait_until_idle(queue)
        assert (queue.length, queue.running) == (0, 0)
    scheduler.close()
