"""Collects the differences from other libraries while tests run, and prints a table of them at the end."""

import numpy as np
import pytest

_ROWS = pytest.StashKey[dict]()


def pytest_configure(config):
    config.stash[_ROWS] = {}


@pytest.fixture
def within(request):
    """Asserts that two arrays differ by no more than a bound, and remembers by how much they do."""
    rows = request.config.stash[_ROWS]

    def check(what, ours, theirs, *, bound, relative=False):
        ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        assert ours.shape == theirs.shape, (what, ours.shape, theirs.shape)
        difference = float(np.abs(ours - theirs).max(initial=0.0))
        if relative:
            difference /= max(float(np.abs(theirs).max(initial=0.0)), 1e-12)
        rows[what] = (max(difference, rows.get(what, (0.0, 0))[0]), bound)
        assert difference <= bound, f"{what}: {difference:.2e}"

    return check


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(_ROWS, {})
    if not rows:
        return
    terminalreporter.section("largest differences")
    for what, (difference, bound) in sorted(rows.items()):
        terminalreporter.write_line(f"{difference:9.1e}  (at most {bound:.0e})  {what}")
