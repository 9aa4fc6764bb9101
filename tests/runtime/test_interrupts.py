import os
import signal
import threading

import pytest

from kbert.runtime.interrupts import Interrupted, Signals, handled_signals, raised_signals


def send(number):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def handlers_are_restored():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGINT, "SIGINT", 130), (signal.SIGTERM, "SIGTERM", 143)])
def test_a_signal_becomes_an_exception_with_the_exit_code_of_the_signal(number, name, code):
    with pytest.raises(Interrupted) as problem, raised_signals("; go on"):
        send(number)
    assert (str(problem.value), problem.value.exit_code) == (f"stopped by {name}; go on", code)
    assert isinstance(problem.value, KeyboardInterrupt)


def test_a_second_signal_does_what_it_did_before():
    outer = []
    with handled_signals(outer.append), raised_signals(""):
        with pytest.raises(Interrupted):
            send(signal.SIGTERM)
        send(signal.SIGTERM)
    assert outer == [signal.SIGTERM]


def test_a_loop_sees_the_first_signal_and_ends_by_the_second():
    with Signals() as signals:
        assert signals.received == 0
        send(signal.SIGTERM)
        assert signals.received == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt) as problem:
            send(signal.SIGINT)
    assert not isinstance(problem.value, Interrupted)


def test_signals_are_left_to_the_main_thread():
    seen = []

    def work():
        with handled_signals(seen.append), Signals() as signals, raised_signals(""):
            seen.append(signals.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0]
