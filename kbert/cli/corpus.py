"""`kbert corpus`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from kbert.cli import options
from kbert.cli.corpus_inspect import inspect
from kbert.runtime.progress_bar import progress_bar

if TYPE_CHECKING:
    from kbert.text.vocabulary import Vocabulary


@click.group()
def corpus() -> None:
    """Turn text into pretraining records, and look at them."""


corpus.add_command(inspect)


_MUCH_UNKNOWN = 0.03
_MANY_CAPITALS = 0.05
_RUNNER_OPTIONS = "kbert.runner_options"


class _BuildCommand(click.Command):
    """With --runner, what stands behind `--` is for Beam; without it, as everywhere, more inputs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes the options of Beam out."""
        if "--" in args:
            place = args.index("--")
            if any(argument.partition("=")[0] == "--runner" for argument in args[:place]):
                ctx.meta[_RUNNER_OPTIONS] = tuple(args[place + 1 :])
                args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Says where they stand."""
        return [*super().collect_usage_pieces(ctx), "[-- RUNNER OPTIONS]"]


@corpus.command(cls=_BuildCommand)
@options.INPUTS
@options.data_file("--vocab", "The vocabulary to tokenize with.")
@options.output("The folder to write.", file_okay=False)
@click.option("--sequence-length", default=128, show_default=True, help="Longest example in tokens.")
@click.option(
    "--objective",
    default="nsp",
    show_default=True,
    type=click.Choice(["nsp", "sop", "none"]),
    help="Next sentence prediction, sentence order prediction, or one text of whole sentences.",
)
@click.option("--max-predictions", type=int, help="Most masked tokens an example.  [default: 15 % of the length]")
@click.option(
    "--masking",
    default="dynamic",
    show_default=True,
    type=click.Choice(["dynamic", "static"]),
    help="Mask anew in each epoch, or once in the records.",
)
@click.option("--mask-probability", default=0.15, show_default=True, help="Part of the tokens that are masked.")
@click.option("--whole-words", is_flag=True, help="Mask all pieces of a word or none.")
@click.option("--spans", is_flag=True, help="Mask spans of whole words, as SpanBERT does.")
@options.data_file("--word-list", "Words of Chinese, one a line, to mask whole.", required=False)
@click.option("--short-probability", default=0.1, show_default=True, help="Part of the documents with short examples.")
@click.option("--duplicates", default=1, show_default=True, help="Times that the text is gone through.")
@options.CASED
@options.source
@click.option(
    "--document-separator",
    default="blank-line",
    show_default=True,
    type=click.Choice(["blank-line", "line"]),
    help="What ends a document of a text file.",
)
@click.option(
    "--deduplicate",
    default="none",
    show_default=True,
    type=click.Choice(["none", "document", "line"]),
    help="Keep only the first of equal documents, or of equal lines.",
)
@click.option(
    "--sentences",
    default="split",
    show_default=True,
    type=click.Choice(["split", "lines"]),
    help="Split lines into sentences, or take each for one.",
)
@click.option(
    "--language",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "en", "zh", "ja", "ko", "general"]),
    help="By whose rules lines are split; auto looks at each document.",
)
@click.option(
    "--feature-names",
    default="tf-hub",
    show_default=True,
    type=click.Choice(["tf-hub", "original"]),
    help="Names in static records: input_word_ids, or input_ids as the original release and the Model Garden read.",
)
@click.option(
    "--compression",
    default="gzip",
    show_default=True,
    type=click.Choice(["gzip", "none"]),
    help="Of the shards; other programs' readers mostly expect none.",
)
@click.option("--resume", is_flag=True, help="Go on after the last shard of the unfinished corpus in --output.")
@click.option("--workers", default=os.cpu_count() or 1, show_default="all cores", type=click.IntRange(1))
@click.option(
    "--runner",
    type=click.Choice(["DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner"]),
    help="Build as an Apache Beam pipeline; what stands behind -- are options of Beam.",
)
@options.SEED
def build(inputs: tuple[str, ...], **settings: object) -> None:
    """Build records from text.

    INPUT is a file (.gz, .bz2, .xz, .zst too), a folder or a glob: text with a sentence or paragraph a line and a blank
    line between documents, JSON lines, CSV, TSV, WikiExtractor's output, or Parquet. Or it is a dataset by name:
    tfds:NAME[/CONFIG][:SPLIT] or hf-datasets:OWNER/NAME[:CONFIG][:SPLIT].

    With --runner, options for Apache Beam stand behind --, as in: kbert corpus build TEXT --vocab vocab.txt --output
    corpus --runner FlinkRunner -- --flink_master=host:8081 --parallelism=32
    """
    from kbert.corpus.building.build import build_corpus
    from kbert.sources.source import describe_formats
    from kbert.text.vocabulary import Vocabulary

    with progress_bar("building", "bytes") as update:
        manifest = build_corpus(
            inputs,
            **settings,  # type: ignore[arg-type]
            runner_options=click.get_current_context().meta.get(_RUNNER_OPTIONS, ()),
            progress=lambda stage, done, total: update(done, total, stage),
        )
    counts = manifest.counts
    labels = {"random_next": "with a random next text", "swapped": "swapped"}
    shares = [f" ({counts[name] / counts['examples']:.1%} {words})" for name, words in labels.items() if name in counts]
    examples, documents, shards = (
        f"{count:,} {name if count == 1 else name + 's'}"
        for name, count in (
            ("example", counts["examples"]),
            ("document", counts["documents"]),
            ("shard", len(manifest.shards)),
        )
    )
    click.echo(f"{examples}{''.join(shares)} of {documents} in {shards}: {settings['output']}", err=True)
    options.tell_left_out(counts)
    click.echo(f"read: {describe_formats(manifest.settings['formats'])}", err=True)
    for warning in _misfits(counts, Vocabulary.from_file(str(settings["vocab"])), lowercase=manifest.lowercase):
        click.echo(f"Warning: {warning}", err=True)


def _misfits(counts: Mapping[str, int], vocabulary: Vocabulary, *, lowercase: bool) -> Iterator[str]:
    """What speaks against the vocabulary: text that it cannot spell, or entries that cannot occur."""
    unknown = counts.get("unknown", 0) / max(1, counts["tokens"])
    if unknown > _MUCH_UNKNOWN:
        yield f"{unknown:.1%} of the tokens are [UNK]; is this vocabulary for the text's language, and --cased right?"
    capitals = sum(token != token.lower() for token in vocabulary if not token.startswith("["))
    if lowercase and capitals > _MANY_CAPITALS * len(vocabulary):
        yield f"capitals in {capitals:,} entries of the vocabulary, while the text was lower-cased; add --cased"
