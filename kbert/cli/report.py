"""The command `kbert report`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.report.options import WriteReportOptions


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False), metavar="RUN...")
@options.declared(option_infos(WriteReportOptions))
def report(runs: tuple[str, ...], **settings: Any) -> None:
    """Write a report about one RUN, or about several side by side: curves, scores, samples, settings and environment.

    A run can still be in progress. The report is a single HTML page that loads nothing from the network.
    """
    from kbert.report.run import write_report

    path = write_report(runs, **settings)
    click.echo(f"report: {path}", err=True)
