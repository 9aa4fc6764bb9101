"""The command `kbert quickstart`."""

from __future__ import annotations

import click

from kbert.runtime.tensorflow import import_tensorflow


@click.command()
@click.option(
    "--output",
    default="kbert-quickstart",
    show_default=True,
    type=click.Path(file_okay=False),
    help="The folder for all files, which must be new or empty.",
)
@click.option("--json", "results", type=click.Path(dir_okay=False), help="Also write the results to this file.")
def quickstart(output: str, results: str | None) -> None:
    """Train, evaluate and serve a tiny model, on the documentation in the installed packages.

    The command downloads nothing. It takes some minutes on two cores.
    """
    import_tensorflow()
    from kbert.quickstart.run import quickstart as run

    run(output, results=results, say=lambda message: click.echo(message, err=True))
