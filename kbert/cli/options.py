"""Options and arguments that several commands share."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

INPUTS = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
RUN = click.argument("run", type=click.Path(exists=True, file_okay=False), metavar="RUN")
SEED = click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of everything random.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON alone on standard output.")
CASED = click.option("--cased", is_flag=True, help="Keep case and accents.")

_READABLE = click.Path(exists=True, dir_okay=False, readable=True)


def output(help_: str, **settings: Any) -> Callable[[Any], Any]:
    """The option `--output`."""
    return click.option("--output", required=True, type=click.Path(**settings), help=help_)


def data_file(name: str, help_: str, *, required: bool = True) -> Callable[[Any], Any]:
    """An option that names a file to read."""
    return click.option(name, required=required, type=_READABLE, help=help_)


def columns(command: Any) -> Any:
    """Adds `--text-column`, `--pair-column` and `--label-column`."""
    for option in (
        click.option("--label-column", default="label", show_default=True, help="Column of labels."),
        click.option("--pair-column", help="Column of second texts, for a task of pairs."),
        click.option(
            "--text-column",
            default="text",
            show_default=True,
            help="Column of texts: a name, or a 1-based number.",
        ),
    ):
        command = option(command)
    return command


def training(command: Any) -> Any:
    """Adds the options that pretraining and fine-tuning share."""
    for option in (
        SEED,
        click.option("--resume", is_flag=True, help="Continue the run in --output from its last checkpoint."),
        click.option("--checkpoint-every", default=500, show_default=True, help="Steps between checkpoints."),
        click.option("--log-every", default=10, show_default=True, help="Steps a row of metrics.jsonl."),
        click.option(
            "--cluster",
            type=click.Choice(["tf-config", "slurm", "kubernetes"]),
            help="Who knows the workers.  [default: the first whose variables are set]",
        ),
        click.option(
            "--strategy",
            default="auto",
            show_default=True,
            type=click.Choice(["auto", "one", "mirrored", "multi-worker", "tpu"]),
            help="Where it runs: one device, all of this machine, several machines, a TPU.",
        ),
        click.option(
            "--precision", default="float32", show_default=True, type=click.Choice(["float32", "bfloat16", "float16"])
        ),
        click.option(
            "--remat", is_flag=True, help="Compute blocks again in the backward pass: less memory, more work."
        ),
        click.option("--dropout", type=float, help="Instead of the model's own, everywhere."),
        click.option("--initializer-range", type=float, help="Of fresh weights.  [default: the model's own, 0.02]"),
        click.option("--accumulation", default=1, show_default=True, help="Micro-batches a step."),
        click.option("--layer-decay", default=1.0, show_default=True, help="Rate of a block against the one above it."),
        click.option("--weight-decay", default=0.01, show_default=True, help="Not of biases and LayerNorm."),
        click.option("--power", default=2.0, show_default=True, help="Of --schedule polynomial."),
        click.option(
            "--schedule",
            default="linear",
            show_default=True,
            type=click.Choice(["linear", "polynomial", "cosine", "constant"]),
            help="How the learning rate falls after the warm-up.",
        ),
        click.option("--optimizer", default="adamw", show_default=True, type=click.Choice(["adamw", "lamb", "sgd"])),
        click.option("--batch-size", default=32, show_default=True, help="Examples a step, over all devices."),
    ):
        command = option(command)
    return command


def import_tensorflow_for(strategy: object, cluster: object) -> None:
    """Imports TensorFlow; where it may have to join a cluster, without a look at the devices before."""
    from kbert import quiet

    joins = strategy in ("multi-worker", "tpu") or cluster is not None or bool(os.environ.get("TF_CONFIG"))
    quiet.import_tensorflow(look_for_devices=not joins)


def print_json(value: Any) -> None:
    """Prints one JSON object on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False))


@contextlib.contextmanager
def byte_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar of bytes on standard error, where that is a terminal; gives its (done, total) function."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns_ = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns_, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)
