"""The command `kbert search`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.errors import UsageError
from kbert.options import option_infos
from kbert.retrieval.options import MeasureSearchOptions, SearchOptions
from kbert.runtime.tensorflow import import_tensorflow


@click.command()
@click.argument("index", type=click.Path(exists=True, file_okay=False), metavar="INDEX")
@click.argument("texts", nargs=-1, metavar="[QUERY...]")
@options.declared(option_infos(MeasureSearchOptions))
@options.data_file(
    "--queries", "A file or dataset of queries, to evaluate the search with --judgements.", required=False
)
@options.data_file(
    "--judgements", "A file or dataset of the documents that are relevant to each query (qrels).", required=False
)
@options.JSON
def search(
    index: str, texts: tuple[str, ...], queries: str | None, judgements: str | None, as_json: bool, **settings: Any
) -> None:
    """Find the documents of INDEX that are most similar to each QUERY, or evaluate the search on judged queries."""
    if bool(texts) == bool(queries) or bool(queries) != bool(judgements):
        received = ", ".join(
            name for name, given in (("QUERY", texts), ("--queries", queries), ("--judgements", judgements)) if given
        )
        raise UsageError(
            f"expected queries, or both --queries FILE and --judgements FILE. Received: {received or 'nothing'}; give "
            "one of the two"
        )
    given = options.given(click.get_current_context(), settings)
    if "depth" in given and not settings["rerank"]:
        raise UsageError("expected --rerank MODEL beside --depth. Received: no --rerank; leave --depth out, or add it")
    if judgements and "top" in given:
        raise UsageError(
            "--top is for QUERYs. Received: --judgements, whose metrics have their own depths; leave it out"
        )
    chosen = MeasureSearchOptions(**settings)
    of_files = [name for name in given if name not in option_infos(SearchOptions)]
    if texts and of_files:
        raise UsageError(
            f"{options.spellings(settings, of_files)[0]} describes files. Received: a QUERY; leave the option out, or "
            "give --queries FILE and --judgements FILE"
        )
    import_tensorflow()
    from kbert.retrieval.search import measure_search
    from kbert.retrieval.search import search as run

    if queries and judgements:
        metrics = measure_search(index, queries, judgements, options=chosen)
        if as_json:
            options.print_json(metrics)
        else:
            for name, value in metrics.items():
                click.echo(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value:,}")
        return
    for query, results in zip(texts, run(index, texts, options=chosen.narrowed(SearchOptions)), strict=True):
        if as_json:
            options.print_json({"query": query, "results": results})
        else:
            for result in results:
                line = " ".join(result["text"].split())
                click.echo(f"{result['rank']}\t{result['score']:.4f}\t{result['id']}\t{line:.200}")
