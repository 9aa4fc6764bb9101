"""The command `kbert tune`, with a subcommand for each task, like `kbert finetune`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.cli.finetune import TaskGroup, checked_options, finetune_settings
from kbert.errors import UsageError
from kbert.options import option_infos
from kbert.tasks.task_info import TaskInfo
from kbert.training.options import TuneOptions


class _TuneGroup(TaskGroup):
    command_for = staticmethod(lambda info: _command(info))


@click.group(cls=_TuneGroup, subcommand_metavar="TASK [OPTIONS]")
def tune() -> None:
    """Search for the hyper-parameters with the best score for TASK on the validation data.

    Each trial is a run of `kbert finetune TASK` with the same options, in OUTPUT/trial-N. The search varies learning
    rate, batch size, weight decay and warm-up, except those that you give; learning rates vary around the default.
    """


def _over(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str] | None:
    over = {}
    for value in values:
        name, equals, what = value.partition("=")
        if not equals:
            raise UsageError(f"--over must be NAME=LOW:HIGH or NAME=A,B,C. Received: {value}")
        over[name.strip().lstrip("-").replace("-", "_")] = what
    return over or None


_OVER = click.option(
    "--over",
    multiple=True,
    metavar="NAME=VALUES",
    callback=_over,
    cls=options.DeclaredOption,
    section="Run",
    help=option_infos(TuneOptions)["over"].help,
)


def _command(info: TaskInfo) -> click.Command:
    @click.command(
        info.name,
        cls=options.SectionedCommand,
        short_help=info.help,
        help=f"Tune hyper-parameters for {info.name}: {info.help}.",
    )
    @finetune_settings(info, TuneOptions)
    @_OVER
    @click.pass_context
    def run(ctx: click.Context, **settings: Any) -> None:
        if settings["validation"] is None and settings["validation_split"] is None:
            raise UsageError("expected --validation FILE, or --validation-split: trials are compared on it")
        checked_options(TuneOptions, settings)
        options.import_tensorflow_for(settings["strategy"], settings["cluster"], settings["precision"])
        from kbert.training.search.tune import tune as run_tune

        # Only options that the user gave are fixed; defaults may be varied by the search.
        _print(run_tune(info.name, **options.given(ctx, settings)), settings["output"])

    return run


def _print(results: dict[str, Any], output: str) -> None:
    from rich.console import Console
    from rich.table import Table

    trials = results["trials"]
    table = Table("trial", *trials[0]["values"], results["metric"])
    for trial in trials:
        mark = " (best)" if trial["folder"] == results["best"] else ""
        values = (f"{value:.4g}" for value in trial["values"].values())
        table.add_row(trial["folder"] + mark, *values, "none" if trial["score"] is None else f"{trial['score']:.4f}")
    Console().print(table)
    click.echo(f"best: {output}/{results['best']}")
