"""The commands of `kbert corpus`."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import click

from kbert.cli import options
from kbert.cli.corpus_inspect import inspect
from kbert.corpus.options import BuildCorpusOptions
from kbert.options import option_infos
from kbert.runtime.progress_bar import progress_bar


@click.group()
def corpus() -> None:
    """Build pretraining records from text, and inspect them."""


corpus.add_command(inspect)


_RUNNER_OPTIONS = "kbert.runner_options"
_INFOS = dict(option_infos(BuildCorpusOptions))
# A Python program starts no processes unless it asks for them, since they import its main module.
_INFOS["workers"] = dataclasses.replace(_INFOS["workers"], default=None, default_help="all cores")


class _BuildCommand(options.SectionedCommand):
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
@options.reading_text(_INFOS)
def build(inputs: tuple[str, ...], workers: int | None, **settings: Any) -> None:
    """Build pretraining records from text.

    INPUT is a file (also .gz, .bz2, .xz or .zst), a folder or a glob. The files are text with one sentence or paragraph
    per line and a blank line between documents, JSON lines, CSV, TSV, the output of WikiExtractor, or Parquet. INPUT
    can also name a dataset: tfds:NAME[/CONFIG][:SPLIT] or hf-datasets:OWNER/NAME[:CONFIG][:SPLIT].

    With --runner, options for Apache Beam follow after --, for example: kbert corpus build TEXT --vocab vocab.txt
    --output corpus --runner FlinkRunner -- --flink_master=host:8081 --parallelism=32
    """
    chosen = BuildCorpusOptions(
        **settings,
        workers=os.cpu_count() or 1 if workers is None else workers,
        runner_options=click.get_current_context().meta.get(_RUNNER_OPTIONS, ()),
    )
    from kbert.corpus.building.build import build_corpus
    from kbert.sources.source import describe_formats

    with progress_bar("building", "bytes") as update:
        manifest = build_corpus(
            inputs,
            options=chosen,
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
