"""The commands of `kbert export`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.runtime.tensorflow import import_tensorflow


@click.group()
def export() -> None:
    """Write a SavedModel or a LiteRT model, after a check that it gives the same answers as the model."""


@export.command("saved-model")
@options.RUN
@options.output("The base path of the served model, such as saved_models/NAME.", file_okay=False)
@click.option(
    "--version", type=click.IntRange(1), help="The version number.  [default: the largest version in OUTPUT plus 1]"
)
@options.model_use(pair=True)
def saved_model(run: str, output: str, version: int | None, pair: bool, **use: Any) -> None:
    """Write the model RUN as the SavedModel OUTPUT/VERSION, which takes text and returns answers."""
    import_tensorflow()
    from kbert.export.saved_model import export_saved_model

    click.echo(export_saved_model(run, output=output, version=version, **options.chosen_use(use, paired=pair)))


@export.command()
@options.RUN
@options.output("The .tflite file to write.", dir_okay=False)
@click.option(
    "--quantize",
    default="none",
    show_default=True,
    type=click.Choice(["none", "float16", "dynamic"]),
    help="The dtype of the weights: none is float32, float16 is float16, and dynamic is int8.",
)
@click.option("--sequence-length", type=int, help="The number of tokens of an input.  [default: as in fine-tuning]")
@options.model_use(pair=True)
def litert(run: str, output: str, quantize: str, sequence_length: int | None, pair: bool, **use: Any) -> None:
    """Write the model RUN for LiteRT (TFLite), from token ids to answers, using only built-in operations."""
    import_tensorflow()
    from kbert.export.litert import export_litert

    chosen = options.chosen_use(use, paired=pair)
    click.echo(export_litert(run, output=output, quantize=quantize, sequence_length=sequence_length, **chosen))
