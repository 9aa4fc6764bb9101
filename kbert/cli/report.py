"""The command `kbert report`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.report.options import WriteReportOptions
from kbert.runtime.progress_bar import progress_bar
from kbert.runtime.tensorflow import import_tensorflow


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False), metavar="RUN...")
@options.declared(option_infos(WriteReportOptions))
def report(runs: tuple[str, ...], **settings: Any) -> None:
    """Write a report about one RUN, or about several side by side: curves, scores, samples, settings and environment.

    A run can still be in progress. The report is a single HTML page that loads nothing from the network. With
    --explain, it also has parts for which the model of a finished run is loaded and computes.
    """
    chosen = WriteReportOptions(**settings)
    if chosen.explain is not None:
        import_tensorflow()
    from kbert.report.run import write_report

    with progress_bar("explaining", "items", transient=True) as update:
        path = write_report(runs, options=chosen, progress=update)
    click.echo(f"report: {path}", err=True)
