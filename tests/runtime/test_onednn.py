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
    assert onednn.use_onednn() == (after != before)
    assert environment == after


@pytest.mark.parametrize(
    ("announced", "survives", "broken"), [(True, True, False), (True, False, True), (False, False, False)]
)
def test_amx_is_broken_where_it_is_announced_and_ends_processes(monkeypatch, announced, survives, broken):
    monkeypatch.setattr(onednn, "_announces_amx", lambda: announced)
    monkeypatch.setattr(onednn, "survives", lambda limit: survives and limit == "")
    assert onednn.amx_is_broken() is broken


@pytest.mark.parametrize(
    ("before", "helps", "after"), [(None, True, "AVX512_CORE_BF16"), (None, False, None), ("AVX2", True, "AVX2")]
)
def test_a_broken_amx_is_avoided_where_that_helps(monkeypatch, before, helps, after):
    monkeypatch.setattr(onednn, "amx_is_broken", lambda: True)
    monkeypatch.setattr(onednn, "survives", lambda limit: helps)
    environment = {} if before is None else {onednn.LIMIT: before}
    monkeypatch.setattr(onednn.os, "environ", environment)
    assert onednn.avoid_broken_amx() == (before is None and helps)
    assert environment.get(onednn.LIMIT) == after


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="TensorFlow says so on Linux")
@pytest.mark.parametrize(("setting", "used"), [(None, onednn.platform.machine() == "x86_64"), ("0", False)])
def test_a_prepared_program_uses_it(setting, used):
    """What TensorFlow says on its way up is the only place where it tells."""
    code = "import kbert\nkbert.prepare_runtime()\nimport tensorflow as tf\ntf.matmul([[1.0]], [[1.0]])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment |= {} if setting is None else {SETTING: setting}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert ("oneDNN custom operations are on" in done.stderr) == used
