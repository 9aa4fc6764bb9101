"""Options and arguments that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from kbert.model_folder.sentence_transformers import POOLINGS
from kbert.sources.named_datasets import is_named_dataset
from kbert.tasks.catalogue import all_reading_options
from kbert.tasks.task_info import Column, Option

INPUTS = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
SEED = click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of everything random.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON alone on standard output.")
CASED = click.option("--cased", is_flag=True, help="Keep case and accents; of a vocab.txt, since a folder knows.")
ACCENTS = click.option(
    "--strip-accents/--keep-accents",
    default=None,
    help="Strip accents, and with them vowel signs of many scripts, or keep them.  [default: as case]",
)
SKIP_BAD = click.option(
    "--skip-bad", default=0, metavar="N", type=click.IntRange(0), help="Skip and count up to N bad rows of a file."
)


class _ModelFolder(click.Path):
    """A folder that exists, or a name on the Hugging Face Hub."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Looks at the folder; a name on the hub is looked up when the model is loaded."""
        if str(value).startswith("hf://"):
            return value
        return super().convert(value, param, ctx)


MODEL_FOLDER = _ModelFolder(exists=True, file_okay=False)
VOCABULARY = _ModelFolder(exists=True, readable=True)
RUN = click.argument("run", type=MODEL_FOLDER, metavar="RUN")
_PROMPTS = (
    click.option("--prompt", help="Text that is put before each text, such as 'query: ', if the model gives vectors."),
    click.option("--prompt-name", help="The name of one of the model's prompts, instead of its text."),
)
_LEFT_OUT = {
    "invalid_utf8": "lines that are not UTF-8",
    "bad_rows": "bad rows",
    "duplicate_documents": "repeated documents",
    "duplicate_lines": "repeated lines",
}


class _DataFile(click.Path):
    """A file that exists, or a data set by name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Looks at the file; a data set is looked up when it is read."""
        return value if is_named_dataset(value) else super().convert(value, param, ctx)


def output(help_: str, *, required: bool = True, **settings: Any) -> Callable[[Any], Any]:
    """The option `--output`."""
    return click.option("--output", required=required, type=click.Path(**settings), help=help_)


def vocabulary(help_: str, *, required: bool = False) -> Callable[[Any], Any]:
    """The option `--vocab`: a vocab.txt, or a folder with the settings of its tokenizer."""
    return click.option(
        "--vocab", required=required, type=VOCABULARY, help=f"{help_}: a vocab.txt, or a folder with all its settings."
    )


def data_file(name: str, help_: str, *, required: bool = True) -> Callable[[Any], Any]:
    """An option that names a file to read."""
    return click.option(name, required=required, type=_DataFile(exists=True, dir_okay=False, readable=True), help=help_)


def source(command: Any) -> Any:
    """Adds the options that say how text is read."""
    for option in (
        click.option("--nfc", is_flag=True, help="Bring text to Unicode's composed form, NFC."),
        click.option(
            "--invalid-utf8",
            default="fail",
            show_default=True,
            type=click.Choice(["fail", "skip"]),
            help="Stop at text that is not UTF-8, or leave such lines out and count them.",
        ),
        click.option(
            "--text-field",
            default="text",
            show_default=True,
            help="Field or column with the text, in all formats but text; a.b is field b of field a.",
        ),
        click.option(
            "--format",
            default="auto",
            show_default=True,
            type=click.Choice(["auto", "text", "jsonl", "csv", "tsv", "wikiextractor", "parquet", "xlsx"]),
            help="Of the files; auto looks at each.",
        ),
        SKIP_BAD,
        click.option("--encoding", default="utf-8", show_default=True, help="Of files of lines, such as latin-1."),
        click.option("--delimiter", help="What stands between the cells of tables.  [default: by the format]"),
        click.option(
            "--quoting",
            default="auto",
            show_default=True,
            type=click.Choice(["auto", "csv", "none"]),
            help="Whether quotation marks enclose cells (csv) or are text (none); auto is csv for CSV.",
        ),
    ):
        command = option(command)
    return command


def tell_left_out(counts: Mapping[str, int]) -> None:
    """Says on standard error what was left out of a source, where it was asked to."""
    for name, words in _LEFT_OUT.items():
        if name in counts:
            click.echo(f"{words} left out: {counts[name]:,}", err=True)


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


def task_option(option: Option, *, default: bool = True) -> Callable[[Any], Any]:
    """A task's setting as an option of a command; without `default` None stands for the task's."""
    name = f"--{option.name.replace('_', '-')}"
    if option.default is False:
        return click.option(name, option.name, is_flag=True, default=False if default else None, help=option.help)
    kind = click.Choice(option.choices) if option.choices else option.type
    value = option.default if default else None
    return click.option(name, option.name, default=value, show_default=value is not None, type=kind, help=option.help)


def reading(*, labelled: bool) -> Callable[[Any], Any]:
    """Adds what any task may be told about the file that it reads; if `labelled`, of other files beside it too."""

    def add(command: Any) -> Any:
        for option in reversed(list(all_reading_options().values())):
            if labelled or not option.file:
                command = task_option(option, default=False)(command)
        return command

    return add


def pooling(*others: str, note: str = "") -> Callable[[Any], Any]:
    """The option `--pooling`."""
    return click.option(
        "--pooling",
        type=click.Choice([*POOLINGS, *others]),
        help=f"How a text's vector is made from those of its tokens, if the model's files do not say.{note}",
    )


def prompts(command: Any) -> Any:
    """Adds the options for prompts."""
    for option in reversed(_PROMPTS):
        command = option(command)
    return command


def model_use(*, pooling_option: bool = True, pair: bool = False) -> Callable[[Any], Any]:
    """Adds the options that describe a model of another library, if its files do not; see `chosen_use`."""

    def add(command: Any) -> Any:
        command = prompts(command)
        if pooling_option:
            command = pooling()(command)
        if pair:
            command = click.option("--pair", is_flag=True, help="RUN is a classifier of pairs from another library.")(
                command
            )
        return click.option(
            "--task",
            type=click.Choice(["ranking", "regression"]),
            help="The task of a model of another library with one output, if its files do not say.",
        )(command)

    return add


def chosen_use(settings: dict[str, Any], *, paired: bool = False) -> dict[str, Any]:
    """The options that describe the model, as arguments of `kbert.load`; they are removed from `settings`.

    Args:
        settings: The options of a command.
        paired: Whether the texts come with second ones.
    """
    names = ("task", "pooling", "prompt", "prompt_name", "pair_prompt")
    chosen = {name: settings.pop(name, None) for name in names}
    return {"paired": True if paired else None, **chosen}


def chosen_reading(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was told about the file."""
    return {name: settings[name] for name in all_reading_options() if settings.get(name) is not None}


def chosen_columns(settings: Mapping[str, Any]) -> dict[str, str]:
    """The columns that were named, by role; "" is said of one that the file has not."""
    ending = "_column"
    named = {name.removesuffix(ending): value for name, value in settings.items() if name.endswith(ending)}
    return {role: name for role, name in named.items() if name is not None}


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
        click.option(
            "--optimizer", default="adamw", show_default=True, type=click.Choice(["adamw", "lamb", "muon", "sgd"])
        ),
        click.option("--batch-size", default=32, show_default=True, help="Examples a step, over all devices."),
    ):
        command = option(command)
    return command


def watching(command: Any) -> Any:
    """Adds what pretraining and fine-tuning show on request."""
    for option in (
        click.option("--projector", is_flag=True, help="At the end, token embeddings for TensorBoard's projector."),
        click.option("--profile", type=_Span(), help="Steps to record for TensorBoard's profile plugin, as 20:30."),
        click.option("--histograms-every", type=click.IntRange(1), help="Steps between histograms of the weights."),
    ):
        command = option(command)
    return command


class _Span(click.ParamType):
    """START:STOP."""

    name = "start:stop"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Gives both numbers."""
        start, _, stop = str(value).partition(":")
        if not (start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
            self.fail(f"expected START:STOP, as 20:30. Received: {value}", param, ctx)
        return int(start), int(stop)


def import_tensorflow_for(strategy: object, cluster: object, precision: object = "float32") -> None:
    """Imports TensorFlow for a run; if the run may have to join a cluster, without starting the devices before."""
    from kbert.runtime.prepare import prepare_runtime
    from kbert.runtime.tensorflow import import_tensorflow

    prepare_runtime(precision=str(precision), quiet=True)
    joins = strategy in ("multi-worker", "tpu") or cluster is not None or bool(os.environ.get("TF_CONFIG"))
    import_tensorflow(look_for_devices=not joins)


def print_json(value: Any) -> None:
    """Prints one JSON object on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False))
