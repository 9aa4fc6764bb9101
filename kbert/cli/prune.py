"""The command `kbert prune`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.cli.distill import check_validation, print_metrics
from kbert.options import option_infos
from kbert.tasks.catalogue import all_columns
from kbert.training.options import SECTIONS, PruneOptions


@click.command(cls=options.SectionedCommand)
@click.argument("run", type=options.MODEL_FOLDER, metavar="RUN")
@options.columns(all_columns().values(), defaults=False)
@options.reading(labelled=True)
@options.declared(option_infos(PruneOptions), SECTIONS)
def prune(run: str, **settings: Any) -> None:
    """Remove the least important blocks and neurons of the fine-tuned model RUN, and train the rest with its outputs.

    Files are read like the training file of RUN, with the same columns, delimiter, encoding and so on. Options
    override these. The result is a model folder of an ordinary BERT.
    """
    reading = options.chosen_reading(settings)
    chosen = PruneOptions(**{name: settings[name] for name in option_infos(PruneOptions) if name in settings})
    check_validation(settings)
    options.import_tensorflow_for(settings["strategy"], settings["cluster"], settings["precision"])
    from kbert.training.prune import prune as run_prune

    print_metrics(run_prune(run, options=chosen, **reading), settings)
