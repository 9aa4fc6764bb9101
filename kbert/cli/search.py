"""The command `kbert search`."""

from __future__ import annotations

import click

from kbert.cli import options
from kbert.errors import UsageError
from kbert.runtime.tensorflow import import_tensorflow


@click.command()
@click.argument("index", type=click.Path(exists=True, file_okay=False), metavar="INDEX")
@click.argument("texts", nargs=-1, metavar="[QUERY...]")
@click.option(
    "--top", default=5, show_default=True, type=click.IntRange(1), help="The number of results for each query."
)
@click.option("--model", type=options.MODEL_FOLDER, help="The folder of the model of the index, if it was moved.")
@click.option("--ann", is_flag=True, help="Use approximate search; the index must have been built with --ann.")
@click.option(
    "--rerank",
    type=options.MODEL_FOLDER,
    help="Re-rank the results with this model of `kbert finetune ranking`, or with this cross-encoder.",
)
@click.option(
    "--depth", default=50, show_default=True, type=click.IntRange(1), help="The number of results that are re-ranked."
)
@options.data_file(
    "--queries", "A file or dataset of queries, to evaluate the search with --judgements.", required=False
)
@options.data_file(
    "--judgements", "A file or dataset of the documents that are relevant to each query (qrels).", required=False
)
@click.option("--prompt", help="The text that is put before each query, such as 'query: '.  [default: as in the index]")
@click.option("--prompt-name", help="The name of a prompt of the model, instead of --prompt.")
@options.JSON
def search(
    index: str,
    texts: tuple[str, ...],
    top: int,
    model: str | None,
    ann: bool,
    rerank: str | None,
    depth: int,
    queries: str | None,
    judgements: str | None,
    prompt: str | None,
    prompt_name: str | None,
    as_json: bool,
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
    import_tensorflow()
    from kbert.retrieval.index import Index
    from kbert.retrieval.search import SearchSettings, measure_search
    from kbert.retrieval.search import search as run

    opened = Index(index, model=model, prompt=prompt, prompt_name=prompt_name)
    settings = SearchSettings(top, ann, rerank, depth)
    if queries and judgements:
        metrics = measure_search(opened, queries, judgements, settings)
        if as_json:
            options.print_json(metrics)
        else:
            for name, value in metrics.items():
                click.echo(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value:,}")
        return
    for query, results in zip(texts, run(opened, texts, settings), strict=True):
        if as_json:
            options.print_json({"query": query, "results": results})
        else:
            for result in results:
                line = " ".join(result["text"].split())
                click.echo(f"{result['rank']}\t{result['score']:.4f}\t{result['id']}\t{line:.200}")
