import logging
import os
import sys

import pytest

from kbert.errors import UsageError
from kbert.runtime import onednn, prepare
from kbert.runtime.prepare import prepare_runtime

NAMES = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "TF_CPP_MIN_LOG_LEVEL")


def settings():
    return {name: os.environ[name] for name in NAMES if name in os.environ}


@pytest.fixture
def fresh(monkeypatch):
    """An x86 processor, none of the variables, and TensorFlow not imported yet."""
    for name in NAMES:
        # Set first, so that what the test sets is removed again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(onednn.platform, "machine", lambda: "x86_64")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)


def test_it_sets_what_is_not_set(fresh, caplog):
    prepare_runtime()
    assert settings() == {"TF_ENABLE_ONEDNN_OPTS": "1"}
    prepare_runtime(quiet=True)
    prepare_runtime(quiet=True)
    assert settings() == {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    assert caplog.records == []


def test_what_the_user_set_is_kept(fresh, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    prepare_runtime(quiet=True)
    assert settings() == {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "1"}


def test_bfloat16_alone_tries_the_processor(fresh, monkeypatch):
    calls = []
    monkeypatch.setattr(prepare, "avoid_broken_amx", lambda: calls.append("tried"))
    prepare_runtime()
    prepare_runtime(precision="float16")
    assert calls == []
    prepare_runtime(precision="bfloat16")
    assert calls == ["tried"]
    with pytest.raises(
        UsageError, match=r"^precision must be one of float32, bfloat16, float16\. Received: precision="
    ):
        prepare_runtime(precision="half")


def test_a_call_that_comes_too_late_says_so_once(fresh, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    with caplog.at_level(logging.WARNING, "kbert"):
        prepare_runtime()
        prepare_runtime()
    (record,) = caplog.records
    assert record.getMessage().startswith("prepare_runtime() came too late for this process: expected a call before ")
    assert settings() == {"TF_ENABLE_ONEDNN_OPTS": "1"}
