"""`kbert tune`: one subcommand a task, as `kbert finetune`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from kbert.cli import options
from kbert.cli.finetune import TaskGroup, finetune_settings
from kbert.errors import UsageError
from kbert.tasks.task_info import TaskInfo


class _TuneGroup(TaskGroup):
    command_for = staticmethod(lambda info: _command(info))


@click.group(cls=_TuneGroup, subcommand_metavar="TASK [OPTIONS]")
def tune() -> None:
    """Search for the hyper-parameters that do best for TASK on the validation file.

    Each trial is a `kbert finetune TASK` with the same options, in OUTPUT/trial-N. What is given is fixed; what is not,
    of learning rate, batch size, weight decay and warm-up, is searched, learning rates around the model's default.
    """


def _over(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str] | None:
    over = {}
    for value in values:
        name, equals, what = value.partition("=")
        if not equals:
            raise UsageError(f"--over must be NAME=LOW:HIGH or NAME=A,B,C. Received: {value}")
        over[name.strip().lstrip("-").replace("-", "_")] = what
    return over or None


def _command(info: TaskInfo) -> click.Command:
    @click.command(info.name, short_help=info.help, help=f"Tune hyper-parameters for {info.name}: {info.help}.")
    @finetune_settings(info)
    @click.option("--trials", required=True, type=click.IntRange(1), help="How many at most.")
    @click.option("--search", default="bayesian", show_default=True, type=click.Choice(["random", "bayesian", "grid"]))
    @click.option(
        "--over",
        multiple=True,
        metavar="NAME=VALUES",
        callback=_over,
        help="Search over this setting: learning-rate=1e-5:1e-4, batch-size=16,32. May be repeated.",
    )
    @click.pass_context
    def run(ctx: click.Context, over: dict[str, str] | None, **settings: Any) -> None:
        if settings["validation"] is None and settings["validation_split"] is None:
            raise UsageError("expected --validation FILE, or --validation-split: trials are compared on it")
        from kbert.training.search.search_space import SEARCHED

        # A default is not a choice of the user's: it may be searched over.
        free = {*SEARCHED, *(over or {})}
        given = {
            name: value
            for name, value in settings.items()
            if name not in free or ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
        }
        options.import_tensorflow_for(settings["strategy"], settings["cluster"], settings["precision"])
        from kbert.training.search.tune import tune as run_tune

        _print(run_tune(info.name, over=over, **given), settings["output"])

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
