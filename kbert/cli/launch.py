"""The command `kbert launch`."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--workers", required=True, type=click.IntRange(1), help="The number of processes that train together.")
@click.option(
    "--max-restarts",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="How often the workers are restarted after a worker has failed.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND ...")
def launch(workers: int, max_restarts: int, command: tuple[str, ...]) -> None:
    """Run COMMAND, which is pretrain or finetune with its options, as several workers on this machine.

    Each worker gets its own TF_CONFIG. Each line of its output is printed with the number of the worker in front. If a
    worker fails, all workers are stopped, and restarted from the last checkpoint up to --max-restarts times.
    """
    from kbert.training.devices.launch import launch as run

    run(command, workers=workers, max_restarts=max_restarts)
