"""`kbert finetune`: one subcommand a task, made from what the task declares."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.errors import UsageError
from kbert.tasks.catalogue import TASKS, TaskInfo


class _TaskGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, info in TASKS.items() if info.trainable]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        info = TASKS.get(cmd_name)
        if info is not None and not info.trainable:
            raise UsageError(f"the task {cmd_name} is not fine-tuned; pretraining trains it (kbert pretrain)")
        return None if info is None else _command(info)


@click.group(cls=_TaskGroup, subcommand_metavar="TASK [OPTIONS]")
def finetune() -> None:
    """Fine-tune a BERT for TASK, and keep the weights that do best on the validation file.

    `kbert finetune TASK --help` lists the options of a task.
    """


def _command(info: TaskInfo) -> click.Command:
    @click.command(info.name, short_help=info.help, help=f"Fine-tune a BERT for {info.name}: {info.help}.")
    @click.option("--model", required=True, help="A model folder; hf://owner/name; or a preset, with --vocab.")
    @options.data_file("--train", f"{info.data} to learn from.")
    @options.data_file("--validation", f"{info.data} to choose the best weights with.", required=False)
    @click.option(
        "--validation-split", type=click.FloatRange(0, 1), help="Without it: the part of the training rows to hold out."
    )
    @options.output("The run's folder: a model in the end.", file_okay=False)
    @options.columns(info.columns)
    @_task_options(info)
    @options.SKIP_BAD
    @options.data_file("--vocab", "The vocabulary of a preset.", required=False)
    @options.CASED
    @click.option("--epochs", default=3.0, show_default=True, help="Times that the training rows are gone through.")
    @click.option("--learning-rate", default=3e-5, show_default=True, help="At the end of the warm-up.")
    @click.option("--warmup-proportion", default=0.1, show_default=True, type=click.FloatRange(0, 1))
    @click.option(
        "--sequence-length", type=int, help=f"Longest input in tokens.  [default: {info.sequence_length}, or fewer]"
    )
    @click.option("--limit", type=click.IntRange(1), help="Use the first so many training examples.")
    @click.option("--evaluate-every", type=click.IntRange(1), help="Steps.  [default: an epoch]")
    @click.option(
        "--bias-correction/--no-bias-correction", default=True, show_default=True, help="Of the optimizer's means."
    )
    @options.watching
    @options.training
    def run(**settings: Any) -> None:
        options.import_tensorflow_for(settings["strategy"], settings["cluster"])
        from kbert.training.finetune import finetune as run_finetune

        metrics = run_finetune(info.name, **settings)
        if not metrics:
            return  # not the chief
        scores = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float))
        click.echo(f"best on the validation file: {scores}: {settings['output']}", err=True)

    return run


def _task_options(info: TaskInfo) -> Any:
    def add(command: Any) -> Any:
        for option in reversed(info.options):
            command = options.task_option(option)(command)
        return command

    return add
