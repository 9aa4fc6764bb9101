"""The command `kbert distill`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.cli.best_metrics import print_best_metrics
from kbert.errors import UsageError
from kbert.options import option_infos
from kbert.tasks.catalogue import all_columns
from kbert.training.options import SECTIONS, DistillOptions

TEACHER = click.argument("teacher", type=options.MODEL_FOLDER, metavar="TEACHER")


@click.command(cls=options.SectionedCommand)
@TEACHER
@options.columns(all_columns().values(), defaults=False)
@options.reading(labelled=True)
@options.declared(option_infos(DistillOptions), SECTIONS)
def distill(teacher: str, **settings: Any) -> None:
    """Train a small model with the outputs of the fine-tuned model TEACHER, and keep its best weights.

    Files are read like the training file of TEACHER, with the same columns, delimiter, encoding and so on. Options
    override these. The student has the vocabulary of TEACHER.
    """
    reading = options.chosen_reading(settings)
    chosen = DistillOptions(**{name: settings[name] for name in option_infos(DistillOptions) if name in settings})
    check_validation(settings)
    options.import_tensorflow_for(settings["strategy"], settings["cluster"], settings["precision"])
    from kbert.training.distill import distill as run_distill

    print_metrics(run_distill(teacher, options=chosen, **reading), settings)


def check_validation(settings: dict[str, Any]) -> None:
    """Checks that there is one source of validation examples.

    Raises:
        UsageError: There is none.
    """
    if not settings["validation"] and settings["validation_split"] is None:
        raise UsageError("give one of --validation FILE and --validation-split such as 0.1")


def print_metrics(metrics: dict[str, Any], settings: dict[str, Any]) -> None:
    """Prints the metrics of the best weights, or the result of a learning-rate range test, on standard error."""
    if settings.get("find_learning_rate"):  # an option of `distill` alone
        click.echo(f"suggested: --learning-rate {metrics['suggested']:.2g}", err=True)
        return
    if metrics:  # only the chief has metrics
        print_best_metrics(metrics, settings["output"])
