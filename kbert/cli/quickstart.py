"""The command `kbert quickstart`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.quickstart.options import QuickstartOptions
from kbert.runtime.tensorflow import import_tensorflow


@click.command()
@options.declared(option_infos(QuickstartOptions))
def quickstart(**settings: Any) -> None:
    """Train, evaluate and serve a tiny model, on the documentation in the installed packages.

    The command downloads nothing. It takes some minutes on two cores.
    """
    import_tensorflow()
    from kbert.quickstart.run import quickstart as run

    run(**settings, say=lambda message: click.echo(message, err=True))
