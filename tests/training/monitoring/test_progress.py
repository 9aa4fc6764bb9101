import pytest

from kbert.training.monitoring.progress import describe, describe_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (4000, "1 h 6 min"), (90000, "1 d 1 h")],
)
def test_seconds(seconds, text):
    assert describe_seconds(seconds) == text


def test_a_row_on_a_line():
    row = {
        "mlm_loss": 2.0,
        "nsp_loss": 0.5,
        "mlm_accuracy": 0.4321,
        "loss": 2.5,
        "learning_rate": 0.0001,
        "gradient_norm": 3.0,
        "validation_mlm_accuracy": 0.4,
        "seconds": 3.0,
        "tokens_per_second": 12345.6,
        "mfu": 0.512,
    }
    assert describe(row) == (
        "loss 2.5  MLM accuracy 43.2%  rate 1.00e-04  tokens/s 12,346  MFU 51.2%  validation MLM accuracy 40.0%"
    )
