"""Imports citizens.py, so that the tests of this folder can use its checks."""

import importlib.util
import sys
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("citizens", Path(__file__).with_name("citizens.py"))
citizens = importlib.util.module_from_spec(_SPEC)
sys.modules["citizens"] = citizens
_SPEC.loader.exec_module(citizens)
