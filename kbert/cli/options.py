"""Options and arguments that several commands share."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from kbert.options import REQUIRED, OptionInfo, command_text, option_infos
from kbert.prediction.options import LoadOptions
from kbert.sources.named_datasets import is_named_dataset
from kbert.sources.settings import SECTION
from kbert.sources.sheets import file_of
from kbert.tasks.catalogue import all_columns, all_reading_options
from kbert.tasks.task_info import COLUMNS_SECTION, Column

INPUTS = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
SEED = click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seeds all random choices.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print only JSON on standard output.")


class _ModelFolder(click.Path):
    """The type of an argument that is an existing folder, or a model of the Hugging Face Hub."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Checks that the folder exists. A model of the hub is checked only when it is loaded."""
        if str(value).startswith("hf://"):
            return value
        return super().convert(value, param, ctx)


MODEL_FOLDER = _ModelFolder(exists=True, file_okay=False)
VOCABULARY = _ModelFolder(exists=True, readable=True)
MODEL = click.argument("model", type=MODEL_FOLDER, metavar="MODEL")
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


def data_file(name: str, help_: str, *, required: bool = True) -> Callable[[Any], Any]:
    """Returns an option that names data to read: a file, the sheet of a workbook, or a dataset."""
    return click.option(name, required=required, type=_DataFile(exists=True, dir_okay=False, readable=True), help=help_)


def reading_text(infos: Mapping[str, OptionInfo]) -> Callable[[Any], Any]:
    """Adds the options of a command that reads text: its own first, then those that describe the text."""
    return declared(infos, ("", SECTION))


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


def loading(settings: dict[str, Any], *, paired: bool = False) -> LoadOptions:
    """Removes the options of `kbert.load` from `settings`, and returns them.

    Args:
        settings: The options of a command.
        paired: Whether the inputs are pairs of texts, as other options show.
    """
    chosen = {name: settings.pop(name) for name in option_infos(LoadOptions) if name in settings}
    if paired and chosen["paired"] is None:
        chosen["paired"] = True
    return LoadOptions(**chosen)


def chosen_reading(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns and the options that the user gave to describe the file, as keywords.

    The name "" of a column means that the file has no such column.
    """
    names = [*(f"{role}_column" for role in all_columns()), *all_reading_options()]
    return {name: settings[name] for name in names if settings.get(name) is not None}


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
        f"{info.spelling}/{info.off_spelling}" if is_switch else info.spelling,
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


def spellings(settings: Mapping[str, Any], names: Iterable[str] | None = None) -> list[str]:
    """Returns the options as the user writes them, such as "--text-column".

    Args:
        settings: The options by name.
        names: The options to return, of those in `settings`; None stands for all.
    """
    parameters = {parameter.name: parameter for parameter in click.get_current_context().command.params}
    return [parameters[name].opts[0] for name in (settings if names is None else names) if name in settings]


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
            "data": _DataFile(exists=True, readable=True),
            "model": MODEL_FOLDER,
            "vocabulary": VOCABULARY,
            "output": click.Path(),
            "output-file": click.Path(dir_okay=False),
            "output-folder": click.Path(file_okay=False),
        }
        return kinds[info.path]
    if info.kind is tuple or info.metavar.count(":") == 1:
        return _Pair(info.metavar)
    kind = info.element_kind if info.multiple else info.kind
    return kind if kind in (int, float) else str


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
