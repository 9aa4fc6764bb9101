import os
import subprocess
import sys

import pytest

from kbert.runtime import onednn

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
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    onednn.use_onednn()
    assert environment == after


def test_it_is_too_late_once_tensorflow_is_there(monkeypatch):
    environment = {}
    monkeypatch.setattr(onednn.os, "environ", environment)
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    onednn.use_onednn()
    assert environment == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="TensorFlow says so on Linux")
@pytest.mark.parametrize(("setting", "used"), [(None, onednn.platform.machine() == "x86_64"), ("0", False)])
def test_training_uses_it(setting, used):
    """What TensorFlow says on its way up is the only place where it tells."""
    code = "import kbert.training\nimport tensorflow as tf\ntf.matmul([[1.0]], [[1.0]])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment |= {} if setting is None else {SETTING: setting}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert ("oneDNN custom operations are on" in done.stderr) == used
