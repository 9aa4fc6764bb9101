import pytest

from kbert.errors import TrainingError, UsageError
from kbert.training.loop import loop_run
from kbert.training.loop.spikes import SkippedBatches, SpikeDetector
from kbert.training.pretrain import pretrain


def test_a_loss_far_above_the_mean_of_a_hundred_steps():
    detector = SpikeDetector(2.0)
    for _ in range(99):
        assert detector.problem(4.0, 1.0) is None
    assert detector.problem(5.0, 1.0) is None  # there are no hundred yet
    assert len(detector.recent) == 100
    assert detector.problem(6.1, 1.0) == "the loss is 6.1, and the mean of the 100 steps before is 4.01"
    assert detector.problem(5.9, 1.0) is None
    assert len(detector.recent) == 100
    assert detector.recent[-1] == 5.9


def test_a_jump_stands_out_from_the_losses_own_ups_and_downs():
    detector = SpikeDetector(2.0, [3.0, 5.0] * 50)  # a mean of 4 and a deviation of 1
    assert detector.problem(9.9, 1.0) is None
    detector = SpikeDetector(2.0, [3.0, 5.0] * 50)
    assert detector.problem(10.1, 1.0) == "the loss is 10.1, and the mean of the 100 steps before is 4"


def test_without_a_threshold_any_number_will_do():
    detector = SpikeDetector(None, [1.0] * 100)
    assert detector.problem(1e9, 1.0) is None
    assert detector.problem(float("nan"), 1.0) == "the loss is nan"
    assert detector.problem(1.0, float("inf")) == "the gradient's norm is inf"
    with pytest.raises(UsageError, match=r"^spike_threshold must be above 0\. Received: spike_threshold=0$"):
        SpikeDetector(0)


def test_batches_behind_a_spike_are_skipped():
    skips = SkippedBatches()
    assert [skips.batch(step) for step in range(4)] == [0, 1, 2, 3]
    skips = skips.rewound(2, 5)  # back to step 2, past batches 2, 3 and 4
    assert skips.ranges == [[2, 5]]
    assert [skips.batch(step) for step in range(5)] == [0, 1, 5, 6, 7]
    skips = skips.rewound(3, 9)
    assert [skips.batch(step) for step in range(5)] == [0, 1, 5, 9, 10]


@pytest.fixture
def spike_at_step_6(monkeypatch):
    """The learning rate of step 6 is one that no weights survive; of later visits to it, it is not."""
    visits = []

    class Detector(SpikeDetector):
        """Finds a jump at the sixth batch."""

        def problem(self, loss, gradient_norm):
            visits.append(loss)
            return "the loss is high" if len(visits) == 6 else super().problem(loss, gradient_norm)

    monkeypatch.setattr(loop_run, "SpikeDetector", Detector)


OPTIONS = {"steps": 10, "batch_size": 8, "checkpoint_every": 4, "log_every": 1, "show_progress": False}


@pytest.mark.long
def test_a_run_goes_back_and_around(rows, tmp_path, corpus, pretrained, spike_at_step_6, told):
    pretrain(corpus=corpus, model=pretrained, output=tmp_path / "run", on_spike="rewind", **OPTIONS)
    assert "the loss is high at step 6; rewinding to step 4 and skipping the batches since" in told()
    read = rows(tmp_path / "run")
    assert [row["step"] for row in read] == list(range(1, 11))
    from kbert.training.run_folder.checkpoints import Checkpoints

    # Batches 4 and 5 were left out.
    assert Checkpoints(tmp_path / "run/checkpoints").load(8).state["skipped"] == [[4, 6]]


@pytest.mark.long
def test_a_run_that_finds_no_way_around_ends(tmp_path, corpus, pretrained, monkeypatch):
    monkeypatch.setattr(loop_run, "_REWINDS", 1)
    monkeypatch.setattr(SpikeDetector, "problem", lambda *arguments: "the loss is high")
    with pytest.raises(TrainingError, match=r"^the loss is high at step 1, even after 1 rewinds; lower"):
        pretrain(corpus=corpus, model=pretrained, output=tmp_path / "run", on_spike="rewind", **OPTIONS)


def test_a_run_stops_and_names_the_examples(tmp_path, corpus, pretrained, spike_at_step_6):
    from kbert.corpus.reading.pipeline import PretrainingBatches

    names = PretrainingBatches(corpus, batch_size=8).example_names(5)
    assert len(names) == 8
    assert all(name.startswith("examples-00000.tfrecord.gz#") for name in names)
    with pytest.raises(TrainingError, match=r"^the loss is high at step 6; lower .* examples: ") as problem:
        pretrain(corpus=corpus, model=pretrained, output=tmp_path / "run", **OPTIONS)
    assert str(problem.value).endswith(", ".join(names))
