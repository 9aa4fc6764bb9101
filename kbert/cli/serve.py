"""The command `kbert serve`."""

from __future__ import annotations

import logging
from typing import Any

import click

from kbert.cli import options
from kbert.cli.tensorflow_serving_flags import TensorFlowServingCommand
from kbert.options import option_infos
from kbert.serving.options import SECTIONS, ServeOptions


@click.command(cls=TensorFlowServingCommand)
@click.argument("folder", type=click.Path(exists=True, file_okay=False), metavar="[FOLDER]", required=False)
@options.declared(option_infos(ServeOptions), SECTIONS)
def serve(folder: str | None, **settings: Any) -> None:
    """Serve the models in FOLDER, laid out as FOLDER/NAME/VERSION, over TensorFlow Serving's REST and gRPC APIs."""
    chosen = ServeOptions(**settings)
    from kbert.runtime.garbage import keep_imported_objects
    from kbert.serving.server import Addresses, run

    if chosen.log_requests:
        logging.getLogger("kbert.serving.requests").setLevel(logging.INFO)

    def ready(addresses: Addresses) -> None:
        if addresses.url:
            click.echo(f"serving REST and the page at {addresses.url}", err=True)
        if addresses.grpc_address:
            click.echo(f"serving gRPC at {addresses.grpc_address}", err=True)

    # A version that is unloaded is collected while others answer.
    run(folder, chosen, on_ready=ready, on_imported=keep_imported_objects)
