"""`kbert index`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.model_folder.sentence_transformers import SIMILARITIES
from kbert.runtime.progress_bar import progress_bar
from kbert.runtime.tensorflow import import_tensorflow


@click.group()
def index() -> None:
    """Make documents searchable by meaning."""


@index.command()
@click.argument("model", type=options.MODEL_FOLDER, metavar="MODEL")
@click.option(
    "--input",
    required=True,
    type=click.Path(exists=True),
    help='A folder of text files, a document in each paragraph; JSON lines with "id", "text"; or a SMART collection.',
)
@options.output("The folder to write.", file_okay=False)
@click.option(
    "--dtype",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "float16"]),
    help="The dtype of the stored vectors.",
)
@click.option("--ann", is_flag=True, help="Also build a graph for approximate search (extra ann).")
@click.option(
    "--batch-size", default=64, show_default=True, type=click.IntRange(1), help="Texts that are embedded together."
)
@options.SKIP_BAD
@options.pooling()
@click.option("--prompt", help="Text that is put before each document, such as 'passage: '.  [default: the model's]")
@click.option("--prompt-name", help="The name of one of the model's prompts, instead of its text.")
@click.option("--query-prompt", help="Text that is put before each query, such as 'query: '.  [default: the model's]")
@click.option("--query-prompt-name", help="The name of one of the model's prompts, instead of its text.")
@click.option(
    "--similarity", type=click.Choice(SIMILARITIES), help="How vectors are compared.  [default: that of the model]"
)
def build(
    model: str, input: str, output: str, dtype: str, ann: bool, batch_size: int, skip_bad: int, **use: Any
) -> None:
    """Build an index of documents.

    MODEL is a model of `kbert finetune embedding` or of sentence-transformers, or any encoder with --pooling. The index
    remembers how its vectors were made, and the prompt for queries.
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
