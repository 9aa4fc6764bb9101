"""Imports of kbert's modules, which may start TensorFlow, without TensorFlow's messages."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

from kbert.runtime.held_output import held_stderr
from kbert.runtime.tensorflow import LOG_SETTING, QUIET_LEVEL


def import_quietly(name: str) -> ModuleType:
    """Imports a module. With TF_CPP_MIN_LOG_LEVEL=3, holds back the messages that TensorFlow writes while it starts.

    TensorFlow's C++ libraries write some messages to standard error before they read that variable. They are shown if
    the import fails.

    Args:
        name: The full name of the module.
    """
    if "tensorflow" in sys.modules or os.environ.get(LOG_SETTING) != QUIET_LEVEL:
        return importlib.import_module(name)
    with held_stderr():
        return importlib.import_module(name)
