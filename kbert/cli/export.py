"""The commands of `kbert export`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.export.options import ExportLitertOptions, ExportSavedModelOptions
from kbert.options import option_infos
from kbert.runtime.tensorflow import import_tensorflow


@click.group()
def export() -> None:
    """Write a SavedModel or a LiteRT model, after a check that it gives the same answers as the model."""


@export.command("saved-model")
@options.MODEL
@options.declared(option_infos(ExportSavedModelOptions))
def saved_model(model: str, **settings: Any) -> None:
    """Write MODEL as the SavedModel OUTPUT/VERSION, which takes text and returns answers."""
    chosen = ExportSavedModelOptions(**settings)
    import_tensorflow()
    from kbert.export.saved_model import export_saved_model

    click.echo(export_saved_model(model, options=chosen))


@export.command()
@options.MODEL
@options.declared(option_infos(ExportLitertOptions))
def litert(model: str, **settings: Any) -> None:
    """Write MODEL for LiteRT (TFLite), from token ids to answers, using only built-in operations."""
    chosen = ExportLitertOptions(**settings)
    import_tensorflow()
    from kbert.export.litert import export_litert

    click.echo(export_litert(model, options=chosen))
