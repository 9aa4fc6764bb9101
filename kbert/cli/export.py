"""The commands of `kbert export`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.export.options import ExportLitertOptions, ExportSavedModelOptions
from kbert.options import option_infos
from kbert.runtime.tensorflow import import_tensorflow

_ARGUMENTS = "kbert.cli.export.arguments"


@click.group()
def export() -> None:
    """Write a SavedModel or a LiteRT model, after a check that it gives the same answers as the model."""


class _RecordedCommand(click.Command):
    """A command that keeps its arguments as they were typed, since an export records them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keeps the arguments before they are parsed, which empties the list."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


@export.command(
    "saved-model", cls=_RecordedCommand, short_help="Write a SavedModel, which takes text and returns answers."
)
@options.MODEL
@options.declared(option_infos(ExportSavedModelOptions))
@click.pass_context
def saved_model(ctx: click.Context, model: str, **settings: Any) -> None:
    """Write MODEL as the SavedModel OUTPUT/VERSION, which takes text and returns answers."""
    chosen = ExportSavedModelOptions(**settings)
    import_tensorflow()
    from kbert.export.saved_model import write_saved_model

    command = ["kbert", "export", "saved-model", *ctx.meta[_ARGUMENTS]]
    click.echo(write_saved_model(model, chosen, command))


@export.command(short_help="Write a LiteRT (TFLite) file, for phones.")
@options.MODEL
@options.declared(option_infos(ExportLitertOptions))
def litert(model: str, **settings: Any) -> None:
    """Write MODEL for LiteRT (TFLite), from token ids to answers, using only built-in operations."""
    chosen = ExportLitertOptions(**settings)
    import_tensorflow()
    from kbert.export.phone.export import export_litert

    click.echo(export_litert(model, options=chosen))
