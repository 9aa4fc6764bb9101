"""The optimizers by name. A new optimizer is a file beside this one, an entry here, and a name in the options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.training.optimizers.adamw import AdamW
from kbert.training.optimizers.lamb import Lamb
from kbert.training.optimizers.muon import Muon
from kbert.training.optimizers.optimizer import Optimizer
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.optimizers.sgd import Sgd

OPTIMIZERS: Mapping[str, type[Optimizer]] = {"adamw": AdamW, "lamb": Lamb, "muon": Muon, "sgd": Sgd}


def make_optimizer(
    variables: Sequence[Any], settings: OptimizerSettings, used_rows: Mapping[str, np.ndarray] | None = None
) -> Optimizer:
    """Creates the optimizer for variables.

    Args:
        variables: The `keras.Variable`s to train.
        settings: The settings, which name the optimizer.
        used_rows: The numbers of the rows that the run reads, by the paths of tables (see `Optimizer`).
    """
    return OPTIMIZERS[settings.name](variables, settings, used_rows)
