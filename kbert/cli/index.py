"""The commands of `kbert index`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.model_folder.sentence_transformers import SIMILARITIES
from kbert.runtime.progress_bar import progress_bar
from kbert.runtime.tensorflow import import_tensorflow


@click.group()
def index() -> None:
    """Build an index to search documents by meaning."""


@index.command(cls=options.SectionedCommand)
@click.argument("model", type=options.MODEL_FOLDER, metavar="MODEL")
@options.data_file(
    "--input",
    "A folder of text files, one document per paragraph; JSON lines, a table, or a dataset such as hf-datasets:NAME "
    'with "id" and "text"; or a SMART collection.',
    folders=True,
)
@options.output("The folder to write.", file_okay=False)
@click.option(
    "--dtype",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "float16"]),
    help="The dtype of the stored vectors.",
)
@click.option("--ann", is_flag=True, help="Also build a graph for approximate search; needs the extra kbert[ann].")
@click.option(
    "--batch-size",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="The number of texts that are processed together.",
)
@options.SKIP_BAD
@options.document_columns
@options.pooling()
@click.option(
    "--prompt", help="The text that is put before each document, such as 'passage: '.  [default: as in the model]"
)
@click.option("--prompt-name", help="The name of a prompt of the model, instead of --prompt.")
@click.option(
    "--query-prompt", help="The text that is put before each query, such as 'query: '.  [default: as in the model]"
)
@click.option("--query-prompt-name", help="The name of a prompt of the model, instead of --query-prompt.")
@click.option(
    "--similarity", type=click.Choice(SIMILARITIES), help="The similarity of vectors.  [default: as in the model]"
)
def build(
    model: str, input: str, output: str, dtype: str, ann: bool, batch_size: int, skip_bad: int, **use: Any
) -> None:
    """Build an index of documents.

    MODEL is a model of `kbert finetune embedding` or of sentence-transformers, or with --pooling any encoder. The index
    stores how its vectors were computed, and the prompt for queries.
    """
    import_tensorflow()
    from kbert.retrieval.index import build_index

    with progress_bar("documents", "items", transient=True) as update:
        count = build_index(
            model,
            input=input,
            output=output,
            dtype=dtype,
            ann=ann,
            batch_size=batch_size,
            skip_bad=skip_bad,
            **use,
            progress=update,
        )
    click.echo(f"{count:,} documents: {output}", err=True)
