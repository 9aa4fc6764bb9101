"""The command `kbert convert`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.conversion.command_options import ConvertOptions, convert_option_infos
from kbert.conversion.formats import all_formats
from kbert.runtime.tensorflow import import_tensorflow

_FORMATS = ([each.name for each in all_formats()], [each.name for each in all_formats() if each.writes])


@click.command()
@click.argument("source")
@click.argument("destination", type=click.Path())
@options.declared(convert_option_infos(*_FORMATS))
@options.JSON
def convert(source: str, destination: str, as_json: bool, **settings: Any) -> None:
    """Convert a BERT model to another format, and check that it gives the same outputs.

    SOURCE is a model folder of kbert or Hugging Face Transformers, hf://owner/name, the folder or prefix of a
    checkpoint of Google's code or of the Model Garden, a KerasHub preset, or a model in a format that another installed
    package adds. DESTINATION is the folder to create.
    """
    chosen = ConvertOptions(**settings)  # checks the options before TensorFlow is imported, which takes seconds
    import_tensorflow()
    from kbert.conversion.convert import convert as run
    from kbert.conversion.convert import figures

    result = run(source, destination, options=chosen)
    if as_json:
        options.print_json(figures(result))
        return
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(
        f"{result.source_format} → {result.destination_format}: {result.architecture}, {result.tensors} tensors, "
        "all identical after reading back"
    )
    for name, difference in result.differences.items():
        click.echo(f"  {name:16} largest difference {difference:.2e}")
    click.echo(f"largest difference {result.largest_difference:.2e}: {destination}")
