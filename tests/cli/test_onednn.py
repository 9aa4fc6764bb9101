import os
import subprocess
import sys

import pytest

from kbert.cli import onednn

SETTING = "TF_ENABLE_ONEDNN_OPTS"


@pytest.mark.parametrize(
    ("machine", "before", "after"),
    [
        ("x86_64", {}, {SETTING: "1"}),
        ("AMD64", {}, {SETTING: "1"}),
        ("x86_64", {SETTING: "0"}, {SETTING: "0"}),
        ("aarch64", {}, {}),
    ],
)
def test_x86_uses_it_unless_told_otherwise(monkeypatch, machine, before, after):
    environment = dict(before)
    monkeypatch.setattr(onednn.os, "environ", environment)
    monkeypatch.setattr(onednn.platform, "machine", lambda: machine)
    onednn.use_onednn()
    assert environment == after


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="TensorFlow says so on Linux")
def test_tensorflow_listens():
    """What it says on its way up is the only place where it tells whether oneDNN is on."""
    code = (
        "from kbert.cli.onednn import use_onednn\nuse_onednn()\nimport tensorflow as tf\ntf.matmul([[1.0]], [[1.0]])\n"
    )
    said = {}
    for setting in (None, "0"):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        environment |= {} if setting is None else {SETTING: setting}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        said[setting] = "oneDNN custom operations are on" in done.stderr
    assert said == {None: onednn.platform.machine() == "x86_64", "0": False}
