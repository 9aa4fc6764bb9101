"""The commands of `kbert index`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.retrieval.options import BuildIndexOptions
from kbert.runtime.progress_bar import progress_bar
from kbert.runtime.tensorflow import import_tensorflow


@click.group()
def index() -> None:
    """Build an index to search documents by meaning."""


@index.command(cls=options.SectionedCommand)
@options.MODEL
@options.declared(option_infos(BuildIndexOptions))
def build(model: str, **settings: Any) -> None:
    """Build an index of documents.

    MODEL is a model of `kbert finetune embedding` or of sentence-transformers, or with --pooling any encoder. The index
    stores how its vectors were computed, and the prompt for queries.
    """
    chosen = BuildIndexOptions(**settings)
    import_tensorflow()
    from kbert.retrieval.build import build_index

    with progress_bar("documents", "items", transient=True) as update:
        count = build_index(model, options=chosen, progress=update)
    click.echo(f"{count:,} documents: {chosen.output}", err=True)
