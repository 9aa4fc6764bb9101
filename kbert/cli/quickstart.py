"""`kbert quickstart`."""

from __future__ import annotations

import click

from kbert.runtime.tensorflow import import_tensorflow


@click.command()
@click.option(
    "--output",
    default="kbert-quickstart",
    show_default=True,
    type=click.Path(file_okay=False),
    help="A new or empty folder for all files.",
)
@click.option("--json", "results", type=click.Path(dir_okay=False), help="Also write the results to this file.")
def quickstart(output: str, results: str | None) -> None:
    """Go from raw text to a served model, on documentation that every installation has.

    Nothing is downloaded. The command takes some minutes on two cores.
    """
    import_tensorflow()
    from kbert.quickstart.run import quickstart as run

    run(output, results=results, say=lambda message: click.echo(message, err=True))
