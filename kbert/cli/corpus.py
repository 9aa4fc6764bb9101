"""The commands of `kbert corpus`."""

from __future__ import annotations

import os

import click

from kbert.cli import options
from kbert.cli.corpus_inspect import inspect
from kbert.runtime.progress_bar import progress_bar


@click.group()
def corpus() -> None:
    """Build pretraining records from text, and inspect them."""


corpus.add_command(inspect)


_RUNNER_OPTIONS = "kbert.runner_options"


class _BuildCommand(click.Command):
    """A command whose arguments after `--` are options of Beam if --runner is given, and inputs otherwise."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Moves the options of Beam from the arguments to the context, and parses the rest."""
        if "--" in args:
            place = args.index("--")
            if any(argument.partition("=")[0] == "--runner" for argument in args[:place]):
                ctx.meta[_RUNNER_OPTIONS] = tuple(args[place + 1 :])
                args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Returns the parts of the usage line, with a part for the options of Beam."""
        return [*super().collect_usage_pieces(ctx), "[-- RUNNER OPTIONS]"]


@corpus.command(cls=_BuildCommand)
@options.INPUTS
@options.vocabulary("The vocabulary", required=True)
@options.output("The folder to write.", file_okay=False)
@click.option("--sequence-length", default=128, show_default=True, help="The maximum length of an example, in tokens.")
@click.option(
    "--objective",
    default="nsp",
    show_default=True,
    type=click.Choice(["nsp", "sop", "none"]),
    help="nsp: next sentence prediction; sop: sentence order prediction; none: one text of whole sentences.",
)
@click.option(
    "--max-predictions",
    type=int,
    help="The maximum number of masked tokens in an example.  [default: 15 % of the length]",
)
@click.option(
    "--masking",
    default="dynamic",
    show_default=True,
    type=click.Choice(["dynamic", "static"]),
    help="dynamic: training draws new masks in each epoch; static: masks are written into the records.",
)
@click.option("--mask-probability", default=0.15, show_default=True, help="The fraction of the tokens that is masked.")
@click.option("--whole-words", is_flag=True, help="Mask all pieces of a word, or none of them.")
@click.option("--spans", is_flag=True, help="Mask spans of whole words, as SpanBERT does.")
@options.data_file("--word-list", "A file of Chinese words, one per line, which are masked as a whole.", required=False)
@click.option(
    "--short-probability",
    default=0.1,
    show_default=True,
    help="The fraction of the documents that is cut into short examples.",
)
@click.option("--duplicates", default=1, show_default=True, help="The number of passes over the text.")
@options.CASED
@options.ACCENTS
@options.source
@click.option(
    "--document-separator",
    default="blank-line",
    show_default=True,
    type=click.Choice(["blank-line", "line"]),
    help="The end of a document in a text file: a blank line, or the end of each line.",
)
@click.option(
    "--deduplicate",
    default="none",
    show_default=True,
    type=click.Choice(["none", "document", "line"]),
    help="Keep only the first of identical documents, or of identical lines.",
)
@click.option(
    "--sentences",
    default="split",
    show_default=True,
    type=click.Choice(["split", "lines"]),
    help="split: lines are split into sentences; lines: each line is a sentence.",
)
@click.option(
    "--language",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "en", "zh", "ja", "ko", "general"]),
    help="The language whose rules split lines into sentences; auto detects it for each document.",
)
@click.option(
    "--feature-names",
    default="tf-hub",
    show_default=True,
    type=click.Choice(["tf-hub", "original"]),
    help="The feature names in static records. tf-hub writes input_word_ids; original writes input_ids, which the "
    "original release and the Model Garden read.",
)
@click.option(
    "--compression",
    default="gzip",
    show_default=True,
    type=click.Choice(["gzip", "none"]),
    help="The compression of the shards; most other programs expect none.",
)
@click.option("--resume", is_flag=True, help="Continue the unfinished corpus in --output after its last shard.")
@click.option(
    "--workers",
    default=os.cpu_count() or 1,
    show_default="all cores",
    type=click.IntRange(1),
    help="The number of processes that build the corpus; the result does not depend on it.",
)
@click.option(
    "--runner",
    type=click.Choice(["DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner"]),
    help="Build the corpus as an Apache Beam pipeline; the arguments after -- are options of Beam.",
)
@options.SEED
def build(inputs: tuple[str, ...], **settings: object) -> None:
    """Build pretraining records from text.

    INPUT is a file (also .gz, .bz2, .xz or .zst), a folder or a glob. The files are text with one sentence or paragraph
    per line and a blank line between documents, JSON lines, CSV, TSV, the output of WikiExtractor, or Parquet. INPUT
    can also name a dataset: tfds:NAME[/CONFIG][:SPLIT] or hf-datasets:OWNER/NAME[:CONFIG][:SPLIT].

    With --runner, options for Apache Beam follow after --, for example: kbert corpus build TEXT --vocab vocab.txt
    --output corpus --runner FlinkRunner -- --flink_master=host:8081 --parallelism=32
    """
    from kbert.corpus.building.build import build_corpus
    from kbert.sources.source import describe_formats

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
