"""The command `kbert report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False), metavar="RUN...")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    help="The file to write.  [default: report.html; with a single RUN, in its folder]",
)
def report(runs: tuple[str, ...], output: str | None) -> None:
    """Write a report about one RUN, or about several side by side: curves, scores, samples, settings and environment.

    A run can still be in progress. The report is a single HTML page that loads nothing from the network.
    """
    from kbert import files
    from kbert.report.run import run_report

    path = Path(output) if output else Path(runs[0] if len(runs) == 1 else ".") / "report.html"
    files.write_text(path, run_report(runs))
    click.echo(f"report: {path}", err=True)
