"""`kbert quickstart`."""

from __future__ import annotations

import click

from kbert.runtime.tensorflow import import_tensorflow


@click.command()
@click.option("--output", default="kbert-quickstart", show_default=True, type=click.Path(file_okay=False))
@click.option("--json", "results", type=click.Path(dir_okay=False), help="Also write the results to this file.")
def quickstart(output: str, results: str | None) -> None:
    """Go the whole way, from raw text to a served model, on documentation that every installation has.

    Nothing is downloaded. It takes some minutes on two cores.
    """
    import_tensorflow()
    from kbert.quickstart.run import quickstart as run

    run(output, results=results)
