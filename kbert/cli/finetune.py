"""`kbert finetune`: one subcommand a task, made from what the task declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from kbert.cli import options
from kbert.errors import UsageError
from kbert.tasks.catalogue import TASKS
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.task_info import TaskInfo


class TaskGroup(click.Group):
    """A group with a command for each task that is fine-tuned."""

    command_for: Callable[[TaskInfo], click.Command] = staticmethod(lambda info: _command(info))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the catalogue."""
        return [name for name, info in TASKS.items() if info.trainable]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Makes the command of a task."""
        info = TASKS.get(cmd_name)
        if info is not None and not info.trainable:
            raise UsageError(f"the task {cmd_name} is not fine-tuned; pretraining trains it (kbert pretrain)")
        return None if info is None else self.command_for(info)


@click.group(cls=TaskGroup, subcommand_metavar="TASK [OPTIONS]")
def finetune() -> None:
    """Fine-tune a BERT for TASK, and keep the weights that do best on the validation file.

    `kbert finetune TASK --help` lists the options of a task.
    """


def finetune_settings(info: TaskInfo) -> Any:
    """Adds what a run of a task may be told; the names are the keywords of kbert.training.finetune.finetune."""
    settings = (
        click.option("--model", required=True, help="A model folder; hf://owner/name; or a preset, with --vocab."),
        options.data_file("--train", f"{info.data} to learn from."),
        options.data_file("--validation", f"{info.data} to choose the best weights with.", required=False),
        click.option(
            "--validation-split",
            type=click.FloatRange(0, 1),
            help="Without it: the part of the training rows to hold out.",
        ),
        options.output("The run's folder: a model in the end.", file_okay=False),
        options.columns(info.columns),
        _task_options(info),
        options.SKIP_BAD,
        options.vocabulary("The vocabulary of a preset"),
        options.CASED,
        click.option(
            "--epochs",
            type=click.FloatRange(0, min_open=True),
            help="Passes over the training rows.  [default: 3, more for few rows]",
        ),
        click.option(
            "--learning-rate",
            type=click.FloatRange(0, min_open=True),
            help="The peak, at the end of the warm-up.  [default: by width, and whether weights are pretrained]",
        ),
        click.option(
            "--head-learning-rate",
            type=click.FloatRange(0, min_open=True),
            help="The peak for the pooler and the task's head.  [default: 8 times --learning-rate, at most 1e-3]",
        ),
        click.option("--warmup-proportion", default=0.1, show_default=True, type=click.FloatRange(0, 1)),
        click.option(
            "--sequence-length", type=int, help=f"Longest input in tokens.  [default: {info.sequence_length}, or fewer]"
        ),
        click.option("--limit", type=click.IntRange(1), help="Use so many training examples, drawn by --seed."),
        click.option("--evaluate-every", type=click.IntRange(1), help="Steps.  [default: an epoch]"),
        click.option(
            "--early-stopping", type=click.IntRange(1), help="Stop after so many evaluations that were not better."
        ),
        click.option(
            "--main-metric",
            type=click.Choice([*info.metrics, LOSS]),
            help="The metric that selects the best weights.  [default: the first that the validation file allows]",
        ),
        click.option(
            "--bias-correction/--no-bias-correction", default=True, show_default=True, help="Of the optimizer's means."
        ),
        click.option(
            "--frozen-layers",
            default=0,
            show_default=True,
            type=click.IntRange(0),
            help="The embeddings and so many blocks keep their weights.",
        ),
        click.option("--frozen-encoder", is_flag=True, help="The embeddings and all blocks keep their weights."),
        click.option(
            "--augment", type=click.Choice(["masked"]), help="Add copies with words that the starting model predicts."
        ),
        options.data_file("--synonyms", "A word and its synonyms a line: add copies with those.", required=False),
        click.option(
            "--augment-copies", default=1, show_default=True, type=click.IntRange(1), help="Copies that each adds."
        ),
        options.watching,
        options.training,
    )

    def add(command: Any) -> Any:
        for setting in reversed(settings):
            command = setting(command)
        return command

    return add


def _command(info: TaskInfo) -> click.Command:
    @click.command(info.name, short_help=info.help, help=f"Fine-tune a BERT for {info.name}: {info.help}.")
    @finetune_settings(info)
    @click.option("--seeds", type=click.IntRange(2), help="So many runs, in OUTPUT/seed-N, and their mean.")
    @click.option(
        "--folds", type=click.IntRange(2), help="Cross-validation over --train, in OUTPUT/fold-N; without --validation."
    )
    @click.option("--find-learning-rate", is_flag=True, help="Do not train: try rising rates, and suggest one.")
    def run(seeds: int | None, folds: int | None, **settings: Any) -> None:
        if sum(map(bool, (seeds, folds, settings["find_learning_rate"]))) > 1:
            raise UsageError("choose one of --seeds, --folds and --find-learning-rate")
        if not folds and not settings["validation"] and settings["validation_split"] is None:
            raise UsageError("give one of --validation FILE, --validation-split such as 0.1, and --folds K")
        options.import_tensorflow_for(settings["strategy"], settings["cluster"], settings["precision"])
        if seeds or folds:
            from kbert.training.search import repeats

            if seeds:
                results = repeats.finetune_seeds(info.name, seeds=seeds, **_without_flag(settings))
            else:
                results = repeats.cross_validate(info.name, folds=folds or 0, **_without_flag(settings))
            _print_results(results, settings["output"])
            return
        from kbert.training.finetune import finetune as run_finetune

        metrics = run_finetune(info.name, **settings)
        if settings["find_learning_rate"]:
            _print_rates(metrics, settings["output"])
        elif metrics:  # of the chief
            scores = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float))
            click.echo(f"best on the validation file: {scores}: {settings['output']}", err=True)

    return run


def _without_flag(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "find_learning_rate"}


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


def _task_options(info: TaskInfo) -> Any:
    def add(command: Any) -> Any:
        for option in reversed(info.options):
            command = options.task_option(option)(command)
        return command

    return add
