"""The layers have the same outputs and gradients on Keras's JAX backend as on TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.peers

PROBE = Path(__file__).with_name("backend_probe.py")
CITIZENS = Path(__file__).parent.parent / "keras" / "citizens.py"
REPOSITORY = Path(__file__).parent.parent.parent


def run(backend, *command):
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def probed(backend, python, folder, target):
    run(backend, python, PROBE, folder, target)
    with np.load(target) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def jax_python():
    """A Python that has JAX: KBERT_JAX_PYTHON, else this one."""
    if "KBERT_JAX_PYTHON" in os.environ:
        return os.environ["KBERT_JAX_PYTHON"]
    pytest.importorskip("jax")
    return sys.executable


@pytest.fixture(scope="module")
def on_both(jax_python, pretrained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("backends")
    ours = probed("tensorflow", sys.executable, pretrained, folder / "tensorflow.npz")
    return ours, probed("jax", jax_python, pretrained, folder / "jax.npz")


def test_outputs_are_those_of_tensorflow(on_both, within):
    for name in ("mlm_logits", "nsp_logits", "loss"):
        within(f"JAX, {name}", *(arrays[name] for arrays in on_both), bound=2e-5)


def test_gradients_are_those_of_tensorflow(on_both, within):
    ours, theirs = on_both
    names = [name for name in ours if name.startswith("gradient of ")]
    assert len(names) == 46
    assert set(names) <= set(theirs)
    assert all(np.abs(ours[name]).max() > 0 for name in names if not name.endswith("key.bias"))
    for name in names:
        within("JAX, gradients", ours[name], theirs[name], bound=2e-5)


def test_dropout_drops_something(on_both):
    for arrays in on_both:
        assert np.isfinite(arrays["loss with dropout"])
        assert arrays["loss with dropout"] != arrays["loss"]


def test_tensorflow_stays_out(on_both):
    assert [len(arrays["tensorflow"]) for arrays in on_both] == [1, 0]


def test_every_class_is_a_citizen_of_keras_on_jax_too(jax_python):
    *passed, last = run("jax", jax_python, CITIZENS).splitlines()
    assert len(passed) == 33
    assert all(line.startswith("passed ") for line in passed)
    assert last == "backend jax []"
