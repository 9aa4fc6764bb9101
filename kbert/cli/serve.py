"""The command `kbert serve`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.serving.options import ServeOptions


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False), metavar="FOLDER")
@options.declared(option_infos(ServeOptions))
def serve(folder: str, **settings: Any) -> None:
    """Serve the models in FOLDER, laid out as FOLDER/NAME/VERSION, over TensorFlow Serving's REST API."""
    chosen = ServeOptions(**settings)
    from kbert.serving.rest import serve as run

    def ready(port: int) -> None:
        click.echo(f"serving {folder} at http://{chosen.host}:{port}/v1/models/NAME:predict", err=True)

    run(folder, options=chosen, on_ready=ready)
