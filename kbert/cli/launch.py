"""`kbert launch`."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--workers", required=True, type=click.IntRange(1), help="The number of processes that train together.")
@click.option(
    "--max-restarts",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="How often the workers are started again after one has died.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND ...")
def launch(workers: int, max_restarts: int, command: tuple[str, ...]) -> None:
    """Run COMMAND, which is pretrain or finetune with options, as several workers of this machine.

    Each worker gets TF_CONFIG, and each of its lines is printed with the worker's number before it. If one worker dies,
    all are stopped, and started again from the last checkpoint.
    """
    from kbert.training.devices.launch import launch as run

    run(command, workers=workers, max_restarts=max_restarts)
