"""The command `kbert convert`."""

from __future__ import annotations

import click

from kbert.cli import options
from kbert.conversion.formats import all_formats
from kbert.runtime.tensorflow import import_tensorflow

_FORMATS = all_formats()


@click.command()
@click.argument("source")
@click.argument("destination", type=click.Path())
@click.option(
    "--from",
    "from_",
    type=click.Choice([each.name for each in _FORMATS]),
    help="The format of SOURCE.  [default: detected]",
)
@click.option(
    "--to",
    type=click.Choice([each.name for each in _FORMATS if each.writes]),
    help="The format of DESTINATION.  [default: bundle]",
)
@click.option("--gelu", type=click.Choice(["erf", "tanh"]), help="The form of GELU.  [default: as in SOURCE]")
@click.option(
    "--cased/--uncased",
    default=None,
    help="Whether the model keeps case and accents.  [default: as in SOURCE, or as its vocabulary shows]",
)
@options.data_file("--config", "The bert_config.json, if it is not beside the checkpoint.", required=False)
@options.vocabulary("The vocabulary, if it is not beside the checkpoint")
@click.option("--encoder-only", is_flag=True, help="Convert the encoder without its heads.")
@options.JSON
def convert(
    source: str,
    destination: str,
    from_: str | None,
    to: str | None,
    gelu: str | None,
    cased: bool | None,
    config: str | None,
    vocab: str | None,
    encoder_only: bool,
    as_json: bool,
) -> None:
    """Convert a BERT model to another format, and check that it gives the same outputs.

    SOURCE is a model folder of kbert or Hugging Face Transformers, hf://owner/name, the folder or prefix of a
    checkpoint of Google's code or of the Model Garden, a KerasHub preset, or a model in a format that another installed
    package adds. DESTINATION is the folder to create.
    """
    import_tensorflow()
    from kbert.conversion.convert import convert as run
    from kbert.conversion.convert import figures

    result = run(
        source,
        destination,
        from_=from_,
        to=to,
        gelu=gelu,
        cased=cased,
        config=config,
        vocab=vocab,
        encoder_only=encoder_only,
    )
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
