import io
import sys

import pytest

from kbert.runtime.progress_bar import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("unit", "shown"), [("items", ["3/4", "75%"]), ("steps", ["3/4", "75%", "loss 2.5"]), ("bytes", ["3/4 bytes"])]
)
def test_a_bar_on_a_terminal(monkeypatch, unit, shown):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("reading", unit, summary=lambda: "loss 2.5") as update:
        update(1, 4)
        update(3, 4, "building")
    for text in ("building", *shown):
        assert text in terminal.getvalue()


def test_nothing_without_a_terminal(capsys):
    with progress_bar("reading", "items", total=4) as update:
        update(4)
        update(4, 4, "title")
    assert capsys.readouterr() == ("", "")
