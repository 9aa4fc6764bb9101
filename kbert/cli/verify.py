"""The command `kbert verify`."""

from __future__ import annotations

import sys

import click

from kbert.cli import options


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False), metavar="RUN")
@click.argument("data", nargs=-1, type=click.Path(exists=True, dir_okay=False), metavar="[FILE...]")
@options.JSON
def verify(run: str, data: tuple[str, ...], as_json: bool) -> None:
    """Check that the files of the finished run RUN are those that it wrote, by the digests in its provenance.json.

    Each FILE is compared with the digests of the data that the run was trained with. The command prints whether
    each file is intact, changed or missing, or unknown as data. The exit code is 1 if any file is not intact.
    """
    from kbert.model_folder.provenance import INTACT
    from kbert.model_folder.provenance import verify as check

    states = check(run, data)
    if as_json:
        options.print_json(states)
    else:
        for name, state in states.items():
            click.echo(f"{state:8} {name}")
    if set(states.values()) - {INTACT}:
        sys.exit(1)
