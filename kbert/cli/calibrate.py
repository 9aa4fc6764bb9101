"""The command `kbert calibrate`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.runtime.tensorflow import import_tensorflow
from kbert.tasks.catalogue import all_columns
from kbert.training.options import SECTIONS, CalibrateOptions


@click.command(cls=options.SectionedCommand)
@options.MODEL
@options.columns(all_columns().values(), defaults=False)
@options.reading(labelled=True)
@options.declared(option_infos(CalibrateOptions), SECTIONS)
@options.JSON
def calibrate(model: str, as_json: bool, **settings: Any) -> None:
    """Calibrate the probabilities of the fine-tuned MODEL on labelled examples, and choose when it abstains.

    The logits are divided by a temperature, which is stored in the weights. The file is read like the training file of
    MODEL, with the same columns, delimiter, encoding and so on. Options override these.
    """
    reading = options.chosen_reading(settings)
    chosen = CalibrateOptions(**{name: settings[name] for name in option_infos(CalibrateOptions)})
    import_tensorflow()
    from kbert.training.calibrate import calibrate as run_calibrate

    metrics = run_calibrate(model, options=chosen, **reading)
    if as_json:
        options.print_json(metrics)
        return
    for name in ("temperature", "calibration_error_before", "calibration_error", "coverage", "answered_accuracy"):
        if name in metrics:
            click.echo(f"{name.replace('_', ' ')}: {metrics[name]:.4f}")
    click.echo(f"calibrated: {chosen.output or model}", err=True)
