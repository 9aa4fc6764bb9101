"""The command `kbert finetune`, with a subcommand for each task, built from what the task declares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import click

from kbert.cli import options
from kbert.cli.best_metrics import print_best_metrics
from kbert.errors import UsageError
from kbert.options import Options, option_infos
from kbert.tasks.catalogue import TASKS
from kbert.tasks.task_info import TaskInfo
from kbert.training.options import (
    SECTIONS,
    CrossValidateOptions,
    FinetuneOptions,
    FinetuneSeedsOptions,
    PrivacyOptions,
    task_option_infos,
)

SINGLE_RUN = ("find_learning_rate", *option_infos(PrivacyOptions))
"""The options that commands with several runs do not have."""


class TaskGroup(click.Group):
    """A group with a command for each task that can be fine-tuned."""

    command_for: Callable[[TaskInfo], click.Command] = staticmethod(lambda info: _command(info))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of the tasks, in the order of the catalogue."""
        return [name for name, info in TASKS.items() if info.trainable]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of a task.

        Raises:
            UsageError: The task is trained by pretraining, not by fine-tuning.
        """
        info = TASKS.get(cmd_name)
        if info is not None and not info.trainable:
            raise UsageError(f"the task {cmd_name} is not fine-tuned; pretraining trains it (kbert pretrain)")
        return None if info is None else self.command_for(info)


@click.group(cls=TaskGroup, subcommand_metavar="TASK [OPTIONS]")
def finetune() -> None:
    """Fine-tune a BERT model for TASK, and keep the weights with the best score on the validation data.

    `kbert finetune TASK --help` lists the options of a task.
    """


def finetune_settings(info: TaskInfo, kind: type[Options] = FinetuneOptions) -> Callable[[Any], Any]:
    """Adds the options of a fine-tuning run: those of an options class, the columns of the task, and its own options.

    Args:
        info: The task.
        kind: The options class: `FinetuneOptions`, or a subclass.
    """
    infos = {**option_infos(kind), **task_option_infos(info)}
    if kind is not FinetuneOptions:  # the other classes are for several runs
        for name in SINGLE_RUN:
            del infos[name]

    def add(command: Any) -> Any:
        command = options.declared(infos, SECTIONS)(command)
        command = options.declared(info.option_infos)(command)
        return options.columns(info.columns)(command)

    return add


def checked_options(kind: type[Options], settings: Mapping[str, Any]) -> None:
    """Checks the options before TensorFlow is imported, which takes seconds.

    Raises:
        OptionError: An option is invalid.
    """
    known = option_infos(kind)
    kind(**{name: value for name, value in settings.items() if name in known})


def _several(kind: type[Options], name: str) -> Callable[[Any], Any]:
    """Adds the option of `finetune` that starts several runs."""
    info = dataclasses.replace(option_infos(kind)[name], default=None)
    return options.declared({name: info, **option_infos(FinetuneOptions)}, only=(name,))


def _command(info: TaskInfo) -> click.Command:
    @click.command(
        info.name,
        cls=options.SectionedCommand,
        short_help=info.help,
        help=f"Fine-tune a BERT model for {info.name}: {info.help}.",
    )
    @finetune_settings(info)
    @_several(FinetuneSeedsOptions, "seeds")
    @_several(CrossValidateOptions, "folds")
    def run(seeds: int | None, folds: int | None, **settings: Any) -> None:
        if (seeds is not None) + (folds is not None) + settings["find_learning_rate"] > 1:
            raise UsageError("choose one of --seeds, --folds and --find-learning-rate")
        if folds is None and not settings["validation"] and settings["validation_split"] is None:
            raise UsageError("give one of --validation FILE, --validation-split such as 0.1, and --folds K")
        if seeds is not None:
            checked_options(FinetuneSeedsOptions, {**settings, "seeds": seeds})
        elif folds is not None:
            checked_options(CrossValidateOptions, {**settings, "folds": folds})
        else:
            checked_options(FinetuneOptions, settings)
        options.import_tensorflow_for(settings["strategy"], settings["cluster"], settings["precision"])
        if seeds is not None or folds is not None:
            from kbert.training.search import repeats

            if seeds is not None:
                results = repeats.finetune_seeds(info.name, seeds=seeds, **settings)
            else:
                results = repeats.cross_validate(info.name, folds=folds, **settings)
            _print_results(results, settings["output"])
            return
        from kbert.training.finetune import finetune as run_finetune

        metrics = run_finetune(info.name, **settings)
        if settings["find_learning_rate"]:
            _print_rates(metrics, settings["output"])
        elif metrics:  # only the chief has metrics
            print_best_metrics(metrics, settings["output"])

    return run


def _print_results(results: dict[str, Any], output: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "mean", "deviation", *(run["folder"] for run in results["runs"]))
    for name, mean in results["mean"].items():
        values = (mean, results["deviation"][name], *(run["metrics"][name] for run in results["runs"]))
        table.add_row(name, *(f"{value:.4f}" for value in values))
    Console().print(table)
    click.echo(f"{len(results['runs'])} runs: {output}/results.json", err=True)


def _print_rates(curve: dict[str, Any], output: str) -> None:
    click.echo(f"the loss falls fastest at rate {curve['steepest']:.2g}, and is lowest at {curve['lowest']:.2g}")
    click.echo(f"suggested: --learning-rate {curve['suggested']:.2g}")
    click.echo(f"the curve: {output}/lr_finder.json", err=True)
