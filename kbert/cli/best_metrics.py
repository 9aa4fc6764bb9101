"""The line about the best weights of a run, with which the commands that fine-tune end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


def print_best_metrics(metrics: Mapping[str, Any], output: str) -> None:
    """Prints the metrics of the best weights on standard error, first the one that chose them.

    Args:
        metrics: The metrics on the validation file.
        output: The folder of the run.
    """
    from kbert import files
    from kbert.errors import BundleError
    from kbert.model_folder.file_names import SETTINGS_FILE

    main = files.read_json(Path(output) / SETTINGS_FILE, BundleError)["main_metric"]
    others = [f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float) and name != main]
    scores = ", ".join([f"{main} {metrics[main]:.4f} (which chose the weights)", *others])
    click.echo(f"best on the validation data: {scores}: {output}", err=True)
