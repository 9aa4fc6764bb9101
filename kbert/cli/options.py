"""Options and arguments that several commands share."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from kbert.tasks.catalogue import Column

INPUTS = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
RUN = click.argument("run", type=click.Path(exists=True, file_okay=False), metavar="RUN")
SEED = click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of everything random.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON alone on standard output.")
CASED = click.option("--cased", is_flag=True, help="Keep case and accents.")
SKIP_BAD = click.option(
    "--skip-bad", default=0, metavar="N", type=click.IntRange(0), help="Skip and count up to N bad rows of a file."
)

_READABLE = click.Path(exists=True, dir_okay=False, readable=True)


def output(help_: str, *, required: bool = True, **settings: Any) -> Callable[[Any], Any]:
    """The option `--output`."""
    return click.option("--output", required=required, type=click.Path(**settings), help=help_)


def data_file(name: str, help_: str, *, required: bool = True) -> Callable[[Any], Any]:
    """An option that names a file to read."""
    return click.option(name, required=required, type=_READABLE, help=help_)


def columns(columns_: Iterable[Column], *, defaults: bool = True) -> Callable[[Any], Any]:
    """Adds an option such as `--text-column` for each column; without `defaults` None stands for the task's."""

    def add(command: Any) -> Any:
        for column in reversed(list(columns_)):
            command = click.option(
                f"--{column.role}-column",
                default=column.default if defaults else None,
                show_default=defaults and column.default is not None,
                help=column.help,
            )(command)
        return command

    return add


def chosen_columns(settings: Mapping[str, Any]) -> dict[str, str]:
    """The columns that were named, by role."""
    ending = "_column"
    return {name.removesuffix(ending): value for name, value in settings.items() if name.endswith(ending) and value}


def training(command: Any) -> Any:
    """Adds the options that pretraining and fine-tuning share."""
    for option in (
        SEED,
        click.option("--resume", is_flag=True, help="Continue the run in --output from its last checkpoint."),
        click.option("--checkpoint-every", default=500, show_default=True, help="Steps between checkpoints."),
        click.option("--log-every", default=10, show_default=True, help="Steps a row of metrics.jsonl."),
        click.option("--strategy", default="auto", show_default=True, type=click.Choice(["auto", "one", "mirrored"])),
        click.option("--precision", default="float32", show_default=True, type=click.Choice(["float32", "bfloat16"])),
        click.option("--dropout", type=float, help="Instead of the model's own, everywhere."),
        click.option("--initializer-range", type=float, help="Of fresh weights.  [default: the model's own, 0.02]"),
        click.option("--accumulation", default=1, show_default=True, help="Micro-batches a step."),
        click.option("--weight-decay", default=0.01, show_default=True),
        click.option("--batch-size", default=32, show_default=True, help="Examples a step, over all devices."),
    ):
        command = option(command)
    return command


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


@contextlib.contextmanager
def count_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar of things on standard error, where that is a terminal; gives its (done, total) function."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
