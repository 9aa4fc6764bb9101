import json

import pytest

from kbert.training.monitoring.monitor import Monitor

TIMING = {"seconds": 1.0, "tokens_per_second": 10.0}


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def monitor(folder, **options):
    return Monitor(folder, steps=30, title="pretrain", **{"show_progress": False, **options})


def test_rows(tmp_path):
    shown = monitor(tmp_path)
    with shown.running(0):
        shown.row(10, {"loss": 2.5}, TIMING)
        assert rows(tmp_path) == [{"step": 10, "loss": 2.5, **TIMING}]
        shown.sync()
        shown.row(20, {"loss": 1.5}, TIMING)
    assert [row["step"] for row in rows(tmp_path)] == [10, 20]


def test_rows_of_steps_that_are_done_again_are_dropped(tmp_path):
    first = monitor(tmp_path)
    with first.running(0):
        for step in (10, 20, 30):
            first.row(step, {"loss": step}, TIMING)
    again = monitor(tmp_path)
    with again.running(20):
        again.row(30, {"loss": 3.0}, TIMING)
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [(10, 10), (20, 20), (30, 3)]


@pytest.mark.parametrize("half", ['{"step": 3', '{"step": 30, "loss"', "{", '{"step": 30, "loss": 1}'])
def test_a_row_that_was_cut_short_is_dropped(tmp_path, half):
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 10, "loss": 1}}\n{half}')
    again = monitor(tmp_path)
    with again.running(20):
        again.row(30, {"loss": 3.0}, TIMING)
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [(10, 1), (30, 3)]


def test_a_whole_row_without_its_line_end_is_kept(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "loss": 1}')
    again = monitor(tmp_path)
    with again.running(10):
        again.row(20, {"loss": 2}, TIMING)
    assert [row["step"] for row in rows(tmp_path)] == [10, 20]


def test_tensorboard_gets_the_same_numbers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = monitor(tmp_path)
    with shown.running(0):
        shown.row(10, {"loss": 2.5}, TIMING)
        shown.row(20, {"loss": 1.5}, TIMING)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    read = [
        (event.step, float(event.tensor_proto.float_val[0]))
        if event.tensor_proto.float_val
        else (event.step, _number(event.tensor_proto))
        for event in events.Tensors("loss")
    ]
    assert read == [(10, 2.5), (20, 1.5)]


def _number(proto):
    import tensorflow as tf

    return float(tf.make_ndarray(proto))


def test_progress_where_there_is_no_terminal(tmp_path, capsys):
    shown = monitor(tmp_path, show_progress=True)
    with shown.running(0):
        shown.progress(1)
        shown.row(30, {"loss": 2.51234}, {"seconds": 2.0, "tokens_per_second": 12345.6})
        shown.progress(30)
    assert capsys.readouterr().err == "pretrain: step 30/30  loss 2.512  tokens/s 12,346  0 s left\n"


def test_silence_on_demand(tmp_path, capsys):
    shown = monitor(tmp_path, show_progress=False)
    with shown.running(0):
        shown.row(30, {"loss": 1.0}, TIMING)
        shown.progress(30)
    assert capsys.readouterr() == ("", "")


def test_a_validation_is_shown_until_the_next(tmp_path, capsys):
    shown = monitor(tmp_path, show_progress=True)
    with shown.running(0):
        shown.row(10, {"loss": 2.0, "validation_loss": 2.25}, {"seconds": 2.0})
        shown.row(30, {"loss": 1.0}, {"seconds": 2.0})
        shown.progress(30)
    assert capsys.readouterr().err == "pretrain: step 30/30  loss 1  validation loss 2.25  0 s left\n"
    assert "validation_loss" not in rows(tmp_path)[-1]
