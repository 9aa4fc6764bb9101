"""The command `kbert serve`."""

from __future__ import annotations

import click


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False), metavar="FOLDER")
@click.option(
    "--rest-port",
    default=8501,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0 selects a free port.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; 0.0.0.0 accepts requests from other machines.",
)
@click.option(
    "--poll-seconds",
    default=1.0,
    show_default=True,
    help="The number of seconds between checks for new models and versions.",
)
def serve(folder: str, rest_port: int, host: str, poll_seconds: float) -> None:
    """Serve the models in FOLDER, laid out as FOLDER/NAME/VERSION, over TensorFlow Serving's REST API."""
    from kbert.serving.rest import serve as run

    def ready(port: int) -> None:
        click.echo(f"serving {folder} at http://{host}:{port}/v1/models/NAME:predict", err=True)

    run(folder, host=host, rest_port=rest_port, poll_seconds=poll_seconds, on_ready=ready)
