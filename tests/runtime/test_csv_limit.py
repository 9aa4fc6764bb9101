import csv

import pytest

from kbert.runtime.csv_limit import next_row


def test_the_limit_of_the_process_is_restored():
    before = csv.field_size_limit()
    rows = csv.reader(["a," + "x" * (before + 1), "b,c", "d," + "x" * 2000])
    assert [len(cell) for cell in next_row(rows, before + 10)] == [1, before + 1]
    assert csv.field_size_limit() == before
    assert next_row(rows, 10) == ["b", "c"]
    with pytest.raises(csv.Error, match=r"field larger than field limit \(10\)"):
        next_row(rows, 10)
    with pytest.raises(StopIteration):
        next_row(rows, 10)
    assert csv.field_size_limit() == before
