"""Options and arguments that several commands share."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from kbert.model_folder.sentence_transformers import POOLINGS
from kbert.options import REQUIRED, OptionInfo, command_text
from kbert.sources.named_datasets import is_named_dataset
from kbert.sources.sheets import file_of
from kbert.tasks.catalogue import all_reading_options
from kbert.tasks.task_info import Column

INPUTS = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
SEED = click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seeds all random choices.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print only JSON on standard output.")
CASED = click.option(
    "--cased",
    is_flag=True,
    help="Keep case and accents. Only for a vocab.txt; a tokenizer.json or a folder stores this setting.",
)
ACCENTS = click.option(
    "--strip-accents/--keep-accents",
    default=None,
    help="Strip or keep accents, and with them the vowel signs of many scripts.  [default: keep with --cased]",
)
SKIP_BAD = click.option(
    "--skip-bad", default=0, metavar="N", type=click.IntRange(0), help="Skip and count up to N invalid rows of a file."
)


class _ModelFolder(click.Path):
    """The type of an argument that is an existing folder, or a model of the Hugging Face Hub."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Checks that the folder exists. A model of the hub is checked only when it is loaded."""
        if str(value).startswith("hf://"):
            return value
        return super().convert(value, param, ctx)


MODEL_FOLDER = _ModelFolder(exists=True, file_okay=False)
VOCABULARY = _ModelFolder(exists=True, readable=True)
RUN = click.argument("run", type=MODEL_FOLDER, metavar="RUN")
_PROMPTS = (
    click.option("--prompt", help="The text that is put before each text, such as 'query: '; for embedding models."),
    click.option("--prompt-name", help="The name of a prompt of the model, instead of --prompt."),
)
COLUMNS_SECTION = "Columns"
"""The heading of the options that name columns, in the help of a command."""
_LEFT_OUT = {
    "invalid_utf8": "lines that are not UTF-8",
    "bad_rows": "bad rows",
    "duplicate_documents": "repeated documents",
    "duplicate_lines": "repeated lines",
}


class _DataFile(click.Path):
    """The type of an argument that is an existing file, the sheet of a workbook, or the name of a dataset."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Checks that the file exists. A sheet and a dataset are checked only when they are read."""
        if not is_named_dataset(value):
            super().convert(file_of(value), param, ctx)
        return value


def output(help_: str, *, required: bool = True, **settings: Any) -> Callable[[Any], Any]:
    """Returns the option `--output`."""
    return click.option("--output", required=required, type=click.Path(**settings), help=help_)


def vocabulary(help_: str, *, required: bool = False) -> Callable[[Any], Any]:
    """Returns the option `--vocab`: a vocab.txt, or a tokenizer.json or a folder with a tokenizer and its settings."""
    return click.option(
        "--vocab",
        required=required,
        type=VOCABULARY,
        help=f"{help_}: a vocab.txt, a tokenizer.json, or a folder with a tokenizer.",
    )


def data_file(name: str, help_: str, *, required: bool = True, folders: bool = False) -> Callable[[Any], Any]:
    """Returns an option that names data to read: a file, the sheet of a workbook, or a dataset.

    Args:
        name: The spelling of the option.
        help_: The help text.
        required: Whether the option is required.
        folders: Whether the data may be a folder, too.
    """
    return click.option(
        name, required=required, type=_DataFile(exists=True, dir_okay=folders, readable=True), help=help_
    )


def source(command: Any) -> Any:
    """Adds the options that describe how text files are read."""
    for option in (
        click.option("--nfc", is_flag=True, help="Normalize text to the composed form of Unicode, NFC."),
        click.option(
            "--invalid-utf8",
            default="fail",
            show_default=True,
            type=click.Choice(["fail", "skip"]),
            help="fail: stop at text that is not UTF-8; skip: skip and count such lines.",
        ),
        click.option(
            "--text-field",
            default="text",
            show_default=True,
            help="The field or column with the text, in all formats except text; a.b is field b of field a.",
        ),
        click.option(
            "--format",
            default="auto",
            show_default=True,
            type=click.Choice(["auto", "text", "jsonl", "csv", "tsv", "wikiextractor", "parquet", "xlsx"]),
            help="The format of the files; auto detects it for each file.",
        ),
        SKIP_BAD,
        click.option(
            "--encoding",
            default="utf-8",
            show_default=True,
            help="The encoding of text files and tables, such as latin-1.",
        ),
        click.option("--delimiter", help="The delimiter between the cells of a table.  [default: by the format]"),
        click.option(
            "--quoting",
            default="auto",
            show_default=True,
            type=click.Choice(["auto", "csv", "none"]),
            help="csv: quotation marks enclose cells; none: they are text; auto: csv for CSV files only.",
        ),
    ):
        command = option(command)
    return command


def tell_left_out(counts: Mapping[str, int]) -> None:
    """Prints on standard error how much of a source was skipped, if options allowed it."""
    for name, words in _LEFT_OUT.items():
        if name in counts:
            click.echo(f"{words} left out: {counts[name]:,}", err=True)


def columns(columns_: Iterable[Column], *, defaults: bool = True) -> Callable[[Any], Any]:
    """Adds an option such as `--text-column` for each column.

    Args:
        columns_: The columns.
        defaults: Whether the options have the defaults of the columns; otherwise their default is None.
    """

    def add(command: Any) -> Any:
        for column in reversed(list(columns_)):
            command = click.option(
                f"--{column.role}-column",
                cls=DeclaredOption,
                section=COLUMNS_SECTION,
                default=column.default if defaults else None,
                show_default=defaults and column.default is not None,
                help=column.help,
            )(command)
        return command

    return add


def document_columns(command: Any) -> Any:
    """Adds the options for the columns of documents."""
    for name, help_ in (
        (
            "--text-column",
            "Column, or key, of texts: a name, a 1-based number, or several such as title,body.  [default: text, with "
            "title before it if there is one]",
        ),
        (
            "--id-column",
            'Column, or key, of ids: a name, a 1-based number, or "" to number documents by their lines.  '
            "[default: _id or id, if there is one]",
        ),
    ):
        command = click.option(name, cls=DeclaredOption, section=COLUMNS_SECTION, help=help_)(command)
    return command


def reading(*, labelled: bool) -> Callable[[Any], Any]:
    """Adds the options of all tasks that describe the file to read.

    Args:
        labelled: Whether the file is labelled, so that the options for additional files of the task are added too.
    """

    def add(command: Any) -> Any:
        infos = all_reading_options()
        # None stands for the default of the task, or for what the model remembers.
        offered = {
            name: dataclasses.replace(each, default=None) for name, each in infos.items() if labelled or not each.path
        }
        return declared(offered)(command)

    return add


def pooling(*others: str, note: str = "") -> Callable[[Any], Any]:
    """Returns the option `--pooling`.

    Args:
        others: Further choices.
        note: Further sentences for the help text.
    """
    return click.option(
        "--pooling",
        type=click.Choice([*POOLINGS, *others]),
        help=f"How the vectors of the tokens are combined, if the files of the model do not define it.{note}",
    )


def prompts(command: Any) -> Any:
    """Adds the options for prompts."""
    for option in reversed(_PROMPTS):
        command = option(command)
    return command


def model_use(*, pooling_option: bool = True, pair: bool = False) -> Callable[[Any], Any]:
    """Adds the options that describe a model of another library whose files do not; see `chosen_use`.

    Args:
        pooling_option: Whether `--pooling` is added.
        pair: Whether `--pair` is added.
    """

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
            help="The task of a model of another library with one output, if its files do not define it.",
        )(command)

    return add


def chosen_use(settings: dict[str, Any], *, paired: bool = False) -> dict[str, Any]:
    """Removes the options that describe the model from `settings`, and returns them as arguments of `kbert.load`.

    Args:
        settings: The options of a command.
        paired: Whether the inputs are pairs of texts.
    """
    names = ("task", "pooling", "prompt", "prompt_name", "pair_prompt")
    chosen = {name: settings.pop(name, None) for name in names}
    return {"paired": True if paired else None, **chosen}


def chosen_reading(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that the user gave to describe the file."""
    return {name: settings[name] for name in all_reading_options() if settings.get(name) is not None}


def chosen_columns(settings: Mapping[str, Any]) -> dict[str, str]:
    """Returns the columns that the user named, by role. The name "" means that the file has no such column."""
    ending = "_column"
    named = {name.removesuffix(ending): value for name, value in settings.items() if name.endswith(ending)}
    return {role: name for role, name in named.items() if name is not None}


# === Options that are declared as fields of an options class (kbert.options) ===


class DeclaredOption(click.Option):
    """An option of a command that is derived from a field of an options class.

    Args:
        param_decls: The spellings of the option, as in `click.Option`.
        section: The heading under which the help lists the option.
        attrs: Further arguments of `click.Option`.
    """

    def __init__(self, param_decls: Sequence[str], section: str = "", **attrs: Any) -> None:
        self.section = section
        super().__init__(param_decls, **attrs)


class SectionedCommand(click.Command):
    """A command whose help has a heading for each section of its options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options by section. Options without a section come first; --help alone comes last."""
        own = [param for param in self.params if isinstance(param, click.Option) and not _section(param)]
        sections: dict[str, list[tuple[str, str]]] = {"Options": []} if own else {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                sections.setdefault(_section(param) or "Options", []).append(record)
        for section, records in sections.items():
            if records:
                with formatter.section(section):
                    formatter.write_dl(records)


def _section(param: click.Parameter) -> str:
    return getattr(param, "section", "")


def declared(
    infos: Mapping[str, OptionInfo], sections: Sequence[str] = (), only: Sequence[str] = ()
) -> Callable[[Any], Any]:
    """Adds those options of an options class that the command line has, ordered by section.

    Args:
        infos: The options by name.
        sections: The sections, in the order of the help.
        only: The names of the options to add; the default is all.
    """
    shown = [info for info in infos.values() if info.command and (not only or info.name in only)]
    if sections:
        shown.sort(key=lambda info: sections.index(info.section))

    def add(command: Any) -> Any:
        for info in reversed(shown):
            command = _declared(info, infos)(command)
        return command

    return add


def _declared(info: OptionInfo, infos: Mapping[str, OptionInfo]) -> Callable[[Any], Any]:
    """Returns the option of the command line for a field."""
    is_switch = info.kind is bool and info.default is not False
    settings: dict[str, Any] = {"is_flag": True} if info.kind is bool else {"type": _click_type(info)}
    if not info.required and not info.multiple:
        settings["default"] = info.default
    return click.option(
        f"{info.spelling}/--no-{info.name.replace('_', '-')}" if is_switch else info.spelling,
        info.name,
        cls=DeclaredOption,
        section=info.section,
        required=info.required,
        multiple=info.multiple,
        metavar=info.metavar or None,
        help=f"{command_text(info.help, infos)}{_defaults(info, infos)}",
        **settings,
    )


def given(ctx: click.Context, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that the user gave on the command line."""
    return {
        name: value
        for name, value in settings.items()
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }


def _defaults(info: OptionInfo, infos: Mapping[str, OptionInfo]) -> str:
    """Returns the default and the bounds, as the help shows them."""
    default = command_text(info.default_help, infos)
    if not default and not any(info.default is each for each in (REQUIRED, None, False, ())):
        default = "on" if info.default is True else f"{info.default}"
    parts = [f"default: {default}"] if default else []
    if info.bounds:
        parts.append(info.bounds)
    return f"  [{'; '.join(parts)}]" if parts else ""


def _click_type(info: OptionInfo) -> Any:
    """Returns the Click type that parses the value. The options class checks the bounds."""
    if info.choices:
        return click.Choice(info.choices)
    if info.path:
        kinds = {
            "file": _DataFile(exists=True, dir_okay=False, readable=True),
            "folder": click.Path(exists=True, file_okay=False),
            "vocabulary": VOCABULARY,
            "output": click.Path(),
        }
        return kinds[info.path]
    if info.kind is tuple or info.metavar.count(":") == 1:
        return _Pair(info.metavar)
    return info.kind if info.kind in (int, float) else str


class _Pair(click.ParamType):
    """The type of an argument of two whole numbers, separated by a colon.

    Args:
        metavar: The names of the numbers, such as START:STOP.
    """

    def __init__(self, metavar: str) -> None:
        self.name = metavar.lower()
        self._metavar = metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Returns both numbers."""
        first, _, second = str(value).partition(":")
        if not (first.isdecimal() and second.isdecimal()):
            self.fail(f"expected {self._metavar}, such as 20:30. Received: {value}", param, ctx)
        return int(first), int(second)


def import_tensorflow_for(strategy: object, cluster: object, precision: object = "float32") -> None:
    """Imports TensorFlow for a run.

    If the run may join a cluster, devices are not initialized here, since the process must join the cluster first.
    """
    from kbert.runtime.prepare import prepare_runtime
    from kbert.runtime.tensorflow import import_tensorflow

    prepare_runtime(precision=str(precision), quiet=True)
    joins = strategy in ("multi-worker", "tpu") or cluster is not None or bool(os.environ.get("TF_CONFIG"))
    import_tensorflow(look_for_devices=not joins)


def print_json(value: Any) -> None:
    """Prints a value as one line of JSON on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False))
