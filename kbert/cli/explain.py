"""The command `kbert explain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from kbert.cli import options
from kbert.cli.given_texts import given_texts
from kbert.errors import UsageError
from kbert.options import option_infos
from kbert.prediction.explanation.explained_answer import explained_answer
from kbert.prediction.options import ExplainOptions, HeadOptions
from kbert.runtime.tensorflow import import_tensorflow

_INFOS = {**option_infos(HeadOptions), **option_infos(ExplainOptions)}
_SHOWN = {name: info for name, info in _INFOS.items() if name != "pooling"}
"""The options without that of plain encoders, whose vectors are not explained."""


@click.command(cls=options.SectionedCommand)
@options.MODEL
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@click.option("--pair", "pairs", multiple=True, help="The second text of each TEXT, in order, or a candidate of it.")
@options.declared(_SHOWN)
@click.option("--html", type=click.Path(dir_okay=False), help="Write a page with coloured words to this file.")
@options.JSON
def explain(
    model: str,
    texts: tuple[str, ...],
    pairs: tuple[str, ...],
    html: str | None,
    as_json: bool,
    paired: bool | None,
    task: str | None,
    **settings: Any,
) -> None:
    """Show which words of the TEXTs the answers of MODEL are due to.

    Words with positive scores speak for the answer, words with negative scores against it. TEXTs and --pair are given
    as to `kbert predict`: for ranking and multiple choice, all --pair options are the candidates or choices of a single
    TEXT; for summarization, the TEXTs are the sentences of one document. A model for embedding needs a --pair for each
    TEXT, to compare them. Models for semantic-roles are not explained.
    """
    if html and as_json:
        raise UsageError("choose one of --html FILE and --json. Received: both")
    how = ExplainOptions(**settings)
    import_tensorflow()
    from kbert.prediction.loading import load

    loaded = load(model, task=task, paired=True if pairs and paired is None else paired)
    explanations = loaded.explain(*given_texts(loaded, texts, pairs), options=how)
    if html:
        from kbert import files
        from kbert.report.explanation import explanation_page

        files.write_text(html, explanation_page(explanations, loaded.task, how.method))
        click.echo(f"{len(explanations):,} explanations: {html}", err=True)
        return
    for explanation in explanations:
        if as_json:
            options.print_json(explanation)
        else:
            click.echo(explanation_line(explanation))


def explanation_line(explanation: Mapping[str, Any]) -> str:
    """Formats an explanation: what is explained, a tab, and the words with their scores."""
    words = [f"{word['word']}({word['score']:+.2f})" for word in explanation["words"]]
    return f"{' '.join(explained_answer(explanation).split())}\t{' '.join(words)}"
