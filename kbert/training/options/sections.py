"""The headings of the options of training in the help of the commands, and how options are declared under them."""

from __future__ import annotations

import functools
from typing import Any

from kbert.options import Options, option, option_error, option_infos

SECTIONS = ("Data", "Model", "Training", "Optimizer", "Privacy", "Devices", "Run", "Monitoring")
"""The headings in the help of the training commands, in the order in which they are shown."""

data_option = functools.partial(option, section="Data")
model_option = functools.partial(option, section="Model")
training_option = functools.partial(option, section="Training")
optimizer_option = functools.partial(option, section="Optimizer")
privacy_option = functools.partial(option, section="Privacy")
devices_option = functools.partial(option, section="Devices")
run_option = functools.partial(option, section="Run")
monitoring_option = functools.partial(option, section="Monitoring", remembered=False)


def class_error(options: Options, write: Any) -> Exception:
    """Returns an error whose message names options of this class; see `option_error`."""
    return option_error(write, option_infos(type(options)))
