import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.training.monitoring.observers import ObserverSettings, Periodic, Profile, make_observers


def boundaries(observer, steps):
    step, seen = 0, []
    while (step := observer.boundary(step)) <= steps:
        seen.append(step)
    return seen


def test_periods():
    seen = []
    observer = Periodic(4, seen.append)
    assert boundaries(observer, 13) == [4, 8, 12]
    for step in range(10):
        observer.reached(step)
    assert seen == [4, 8]


def test_the_start_on_demand():
    seen = []
    Periodic(4, seen.append, at_start=True).reached(0)
    assert seen == [0]


def test_a_profile_of_some_steps(tmp_path):
    profile = Profile(tmp_path, 2, 4)
    assert boundaries(profile, 100) == [2, 4]
    profile.reached(1)
    assert not list(tmp_path.iterdir())
    profile.reached(2)
    tf.reduce_sum(tf.ones(3))
    profile.reached(3)
    profile.reached(4)
    profile.close()
    (written,) = tmp_path.rglob("*.xplane.pb")
    assert written.stat().st_size > 0


def test_a_profile_that_an_error_ends_is_written(tmp_path):
    profile = Profile(tmp_path, 0, 10)
    profile.reached(0)
    profile.close()
    assert len(list(tmp_path.rglob("*.xplane.pb"))) == 1


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match=r"START < STOP\. Received: profile=\[4, 4\]"):
        ObserverSettings(profile=(4, 4))
    with pytest.raises(UsageError, match=r"histograms_every must be at least 1\. Received: histograms_every=0"):
        ObserverSettings(histograms_every=0)


def test_histograms_of_all_weights(tmp_path):
    import keras
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="dense")], name="model")
    (observer,) = make_observers(ObserverSettings(histograms_every=2), model, tmp_path)
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        for step in range(4):
            observer.reached(step)
    writer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert sorted(events.Tags()["tensors"]) == ["model/dense/bias", "model/dense/kernel"]
    assert [event.step for event in events.Tensors("model/dense/bias")] == [0, 2]
