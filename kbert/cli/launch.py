"""The command `kbert launch`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.training.options import LaunchOptions


@click.command(context_settings={"ignore_unknown_options": True})
@options.declared(option_infos(LaunchOptions))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND ...")
def launch(command: tuple[str, ...], **settings: Any) -> None:
    """Run COMMAND, which is pretrain or finetune with its options, as several workers on this machine.

    Each worker gets its own TF_CONFIG. Each line of its output is printed with the number of the worker in front. If a
    worker fails, all workers are stopped, and restarted from the last checkpoint up to --max-restarts times.
    """
    from kbert.training.devices.launch import launch as run

    run(command, **settings)
