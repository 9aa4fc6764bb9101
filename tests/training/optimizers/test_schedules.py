import pytest

from kbert.errors import UsageError
from kbert.training.optimizers.schedules import Schedule


def test_warm_up_then_decay():
    schedule = Schedule(peak=1.0, steps=8, warmup_steps=3)
    assert [schedule(step) for step in range(8)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.8, 0.6, 0.4, 0.2])


def test_no_warm_up():
    schedule = Schedule(peak=0.2, steps=4, warmup_steps=0)
    assert [schedule(step) for step in range(4)] == pytest.approx([0.2, 0.15, 0.1, 0.05])


def test_warm_up_alone():
    schedule = Schedule(peak=0.9, steps=2, warmup_steps=2)
    assert [schedule(step) for step in range(2)] == pytest.approx([0.3, 0.6])


def test_every_step_learns():
    for steps, warmup in ((1, 0), (1, 1), (100, 10), (100, 100)):
        schedule = Schedule(1e-4, steps, warmup)
        assert all(0 < schedule(step) <= 1.0000001e-4 for step in range(steps))


@pytest.mark.parametrize("peak", [0, -1e-4, float("nan")])
def test_a_learning_rate_that_cannot_be(peak):
    with pytest.raises(UsageError, match=r"^learning_rate must be above 0\. Received: learning_rate="):
        Schedule(peak, 10, 1)


@pytest.mark.parametrize("warmup", [-1, 11])
def test_a_warm_up_that_cannot_be(warmup):
    with pytest.raises(
        UsageError, match=rf"^warmup_steps must be from 0 to steps=10\. Received: warmup_steps={warmup}$"
    ):
        Schedule(1e-4, 10, warmup)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("polynomial", [0.5, 1.0, 0.5625, 0.25, 0.0625]),
        ("cosine", [0.5, 1.0, 0.853553, 0.5, 0.146447]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_other_decays(decay, expected):
    schedule = Schedule(1.0, 5, 1, decay, power=2.0)
    assert [schedule(step) for step in range(5)] == pytest.approx(expected, abs=1e-6)


def test_a_decay_that_cannot_be():
    with pytest.raises(UsageError, match=r"^schedule must be one of linear, polynomial, .*Received: schedule='steep'$"):
        Schedule(1.0, 5, 1, "steep")
    with pytest.raises(UsageError, match=r"^power must be above 0\. Received: power=0$"):
        Schedule(1.0, 5, 1, "polynomial", 0)
