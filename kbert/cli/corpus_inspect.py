"""The command `kbert corpus inspect`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.runtime.progress_bar import progress_bar
from kbert.runtime.tensorflow import import_tensorflow
from kbert.training.options import PretrainOptions

if TYPE_CHECKING:
    from kbert.corpus.reading.statistics import MaskedExample


@click.command(short_help="Show what a corpus contains.")
@click.argument("corpus", metavar="DIR")
@options.declared(option_infos(PretrainOptions), only=("vocab", "cased", "pack_to"))
@click.option(
    "--examples", default=3, show_default=True, type=click.IntRange(0), help="The number of examples that are shown."
)
@click.option("--limit", type=click.IntRange(1), help="The number of examples that are read.  [default: all]")
@options.SEED
@click.option(
    "--html", type=click.Path(dir_okay=False), help="Also write a page with charts, lists and examples to this file."
)
@options.JSON
def inspect(
    corpus: str, examples: int, limit: int | None, seed: int, html: str | None, as_json: bool, **reading: Any
) -> None:
    """Show the contents of the records in DIR: examples with their masks, lengths, labels, and use of the vocabulary.

    DIR is a corpus of kbert. With --vocab it can also be a folder, file or glob with records of the original release or
    of the Model Garden. If the records contain no masks, the masks of the first epoch of training with --seed are
    shown.
    """
    import_tensorflow()
    from kbert import files
    from kbert.corpus.reading.statistics import LABELS, read_statistics

    with progress_bar("reading examples", "items", transient=True) as update:
        statistics, shown = read_statistics(
            corpus, examples=examples, limit=limit, seed=seed, progress=update, **reading
        )
    if html:
        from kbert.report.corpus import corpus_report

        name = os.path.basename(os.path.abspath(corpus))
        files.write_text(html, corpus_report(name, statistics, shown, seed=seed))
        click.echo(f"report: {html}", err=True)
    facts = statistics.facts()
    if as_json:
        options.print_json(facts)
        return
    for example in shown:
        _print_example(example)
    fates = ", ".join(f"{share:.1%} {fate}" for fate, share in facts["fates"].items())
    label = LABELS.get(facts["objective"])
    share = facts[label.fact] if label else None
    rows = f"rows of {facts['packed_to']}" if facts["packed_to"] else f"length {facts['sequence_length']}"
    lines = {
        "examples": f"{facts['examples']:,} of {facts['examples_in_corpus']:,}",
        "tokens": f"{facts['tokens']:,}, {facts['mean_length']:.1f} an example",
        "fill rate": f"{facts['fill_rate']:.2%} of {rows}",
        label.title if label else "labels": "none" if share is None else f"{share:.2%}",
        "masks": "drawn for this as in training's first epoch" if facts["masking"] == "dynamic" else "in the records",
        "predicted": f"{facts['masked']:.2%} of the tokens: {fates}",
        "[UNK]": f"{facts['unknown']:.3%} of the tokens",
        "never used": f"{facts['never_used']:,} of {facts['vocabulary']:,} entries",
    }
    for name, value in lines.items():
        click.echo(f"{name:14} {value}")


_STYLES = {"mask": "black on yellow", "random": "black on red", "kept": "black on green"}


def _print_example(example: MaskedExample) -> None:
    """Prints an example. Its masks have colours on a terminal, and brackets otherwise."""
    from kbert.corpus.reading.statistics import words_with_marks

    parts: list[tuple[str, str]] = []
    for text, fate, original in words_with_marks(example):
        if fate:
            marked = f"{{{text.strip()} kept}}" if fate == "kept" else f"{{{text.strip()} was {original}}}"
            parts.append((" " if text.startswith(" ") else "", ""))
            parts.append((marked, _STYLES[fate]))
        else:
            parts.append((text, ""))
    if example.label:
        parts.append((f"  ({example.label})", "dim"))
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.text import Text

        Console().print(Text.assemble(*parts), soft_wrap=True)
    else:
        click.echo("".join(text for text, _ in parts))
    click.echo()
